/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Definitions and the registry of all VMs.
 */
#include "hv/vm_priv.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/marker.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"

static struct mutex registry_lock;
static struct list_head registry = LIST_HEAD_INIT(registry);
static uint32_t registry_count;
static uint32_t next_id = 1;

void vm_registry_init(void)
{
	mutex_init(&registry_lock, LOCK_ORDER_VM_LIST);
}

static bool name_char(char c, bool first)
{
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
		return true;
	return !first && (c == '.' || c == '_' || c == '-');
}

static bool name_ok(const char *name)
{
	if (name[0] == '\0')
		return false;
	for (const char *p = name; *p != '\0'; p++) {
		if (!name_char(*p, p == name))
			return false;
	}
	return true;
}

int vm_def_check(const struct vm_def *def, char *why, size_t why_len)
{
	struct page_stats ram;

	page_stats_get(&ram);
	if (!name_ok(def->name)) {
		ray_snprintf(why, why_len, "name: use 1 to %u of a-z 0-9 . _ -, a letter or digit first",
			     VM_NAME_MAX - 1);
		return -RAY_EINVAL;
	}
	if (def->kernel[0] == '\0') {
		ray_snprintf(why, why_len, "kernel: missing; name a module (see `vm modules`)");
		return -RAY_EINVAL;
	}
	if (def->memory < VM_MEMORY_MIN || !IS_ALIGNED(def->memory, SIZE_2M)) {
		ray_snprintf(why, why_len, "memory: must be a multiple of 2M, at least 16M");
		return -RAY_ERANGE;
	}
	if (def->memory > ram.total) {
		ray_snprintf(why, why_len, "memory: %luM is more than the host's %luM",
			     (unsigned long)(def->memory >> 20), (unsigned long)(ram.total >> 20));
		return -RAY_ERANGE;
	}
	if (def->vcpus < 1 || def->vcpus > VM_VCPU_MAX) {
		ray_snprintf(why, why_len, "vcpus: %u is outside 1 to %u", def->vcpus, VM_VCPU_MAX);
		return -RAY_ERANGE;
	}
	return 0;
}

static struct vm *find_locked(const char *name)
{
	struct vm *vm;

	list_for_each_entry(vm, &registry, node) {
		if (strcmp(vm->def.name, name) == 0)
			return vm;
	}
	return NULL;
}

static struct vm *vm_alloc(const struct vm_def *def)
{
	struct vm *vm = kzalloc(sizeof(*vm), MEM_VM);

	if (vm == NULL)
		return NULL;
	vm->def = *def;
	vm->state = VM_DEFINED;
	vm->refs = 1; /* the registry's */
	mutex_init(&vm->lock, LOCK_ORDER_VM);
	waitq_init(&vm->idle_wait);
	list_init(&vm->vdevs);
	list_init(&vm->attached);
	return vm;
}

int vm_define(const struct vm_def *def, char *why, size_t why_len)
{
	int err = vm_def_check(def, why, why_len);

	if (err != 0)
		return err;
	mutex_lock(&registry_lock);
	if (find_locked(def->name) != NULL) {
		ray_snprintf(why, why_len, "name: a VM '%s' exists already", def->name);
		err = -RAY_EEXIST;
	} else if (registry_count == VM_MAX) {
		ray_snprintf(why, why_len, "there are %u VMs, the most there can be", VM_MAX);
		err = -RAY_ENOSPC;
	} else {
		struct vm *vm = vm_alloc(def);

		if (vm == NULL) {
			ray_snprintf(why, why_len, "out of memory");
			err = -RAY_ENOMEM;
		} else {
			vm->id = next_id++;
			registry_count++;
			list_add_tail(&vm->node, &registry);
		}
	}
	mutex_unlock(&registry_lock);
	if (err == 0)
		marker_print(MARKER_VM_DEFINED, "name=%s", def->name);
	return err;
}

int vm_undefine(struct vm *vm, char *why, size_t why_len)
{
	int err = 0;

	mutex_lock(&registry_lock);
	mutex_lock(&vm->lock);
	if (vm->state == VM_RUNNING || vm->state == VM_PAUSED) {
		ray_snprintf(why, why_len, "'%s' is %s: stop or kill it first", vm->def.name,
			     vm_state_name(vm->state));
		err = -RAY_EBUSY;
	} else if (list_empty(&vm->node)) {
		err = -RAY_ENOENT;
	} else {
		list_del(&vm->node);
		registry_count--;
	}
	mutex_unlock(&vm->lock);
	mutex_unlock(&registry_lock);
	if (err == 0)
		vm_put(vm);
	return err;
}

struct vm *vm_get(const char *name)
{
	struct vm *vm;

	mutex_lock(&registry_lock);
	vm = find_locked(name);
	if (vm != NULL)
		__atomic_add_fetch(&vm->refs, 1, __ATOMIC_RELAXED);
	mutex_unlock(&registry_lock);
	return vm;
}

void vm_put(struct vm *vm)
{
	if (__atomic_sub_fetch(&vm->refs, 1, __ATOMIC_ACQ_REL) == 0)
		kfree(vm);
}

int vm_for_each(int (*fn)(struct vm *vm, void *ctx), void *ctx)
{
	struct vm *vm;
	int r = 0;

	mutex_lock(&registry_lock);
	list_for_each_entry(vm, &registry, node) {
		r = fn(vm, ctx);
		if (r != 0)
			break;
	}
	mutex_unlock(&registry_lock);
	return r;
}

const char *vm_state_name(enum vm_state s)
{
	static const char *const names[VM_STATE_COUNT] = {
		[VM_DEFINED] = "defined", [VM_RUNNING] = "running", [VM_PAUSED] = "paused",
		[VM_STOPPED] = "stopped", [VM_CRASHED] = "crashed",
	};

	return (unsigned int)s < VM_STATE_COUNT ? names[s] : "?";
}
