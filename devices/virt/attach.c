/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/attach.h"

#include <string.h>

#include "devices/virt/hotplug.h"
#include "devices/virt/virt.h"
#include "devices/virt/virtio/virtio.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/marker.h"
#include "kernel/mm/heap.h"

extern const struct vkind *const __start_rayos_vkinds[];
extern const struct vkind *const __stop_rayos_vkinds[];

const struct vkind *vkind_get(unsigned int n)
{
	const struct vkind *const *k = __start_rayos_vkinds + n;

	return k < __stop_rayos_vkinds ? *k : NULL;
}

const char *vkind_name(unsigned int n)
{
	const struct vkind *k = vkind_get(n);

	return k ? k->name : NULL;
}

const struct vkind *vkind_find(const char *name)
{
	const struct vkind *k;

	for (unsigned int n = 0; (k = vkind_get(n)) != NULL; n++) {
		if (strcmp(k->name, name) == 0)
			break;
	}
	return k;
}

/* Put what is being talked about before the reason: "disk: unknown option ...". A kind that had
 * nothing to add to the error gave no reason. */
static void why_prefix(const char *what, int err, char *why, size_t why_len)
{
	char text[160];

	strlcpy(text, *why ? why : ray_strerror(err), sizeof(text));
	ray_snprintf(why, why_len, "%s: %s", what, text);
}

static int spec_open(const struct vkind *k, struct vattach *a, const char *text, char *why,
		     size_t why_len)
{
	struct spec spec = {.count = 0};
	int err;

	*why = '\0';
	err = spec_parse(&spec, text, why, why_len);
	if (!err)
		err = k->open(NULL, &spec);
	if (!err)
		err = spec_all_used(&spec, k->options);
	if (!err && a)
		err = k->open(a, &spec);
	if (err)
		why_prefix(a ? a->name : k->name, err, why, why_len);
	return err;
}

int vattach_check(const char *kind, const char *spec, char *why, size_t why_len)
{
	const struct vkind *k = vkind_find(kind);

	return k ? spec_open(k, NULL, spec, why, why_len) : -RAY_ENOENT;
}

void vattach_name(char *name, const char *kind, unsigned int index)
{
	ray_snprintf(name, VATTACH_NAME_MAX, "%s%u", kind, index);
}

/* The smallest numbers nobody has: an id of its own in the VM, an index among its kind. */
static void number(struct vm *vm, struct vattach *a)
{
	const struct vattach *o;
	bool again = true;

	while (again) {
		again = false;
		list_for_each_entry(o, &vm->attached, node) {
			if (o->id == a->id) {
				a->id++;
				again = true;
			}
			if (o->kind == a->kind && o->index == a->index) {
				a->index++;
				again = true;
			}
		}
	}
	vattach_name(a->name, a->kind->name, a->index);
}

/* Given out so far. */
static uint64_t serials;

static int attach_open(struct vm *vm, const char *kind, const char *text, struct vattach **out,
		       char *why, size_t why_len)
{
	const struct vkind *k = vkind_find(kind);
	struct vattach *a;
	int err;

	if (!k) {
		ray_snprintf(why, why_len, "no kind of device is '%s'; see `device handlers`", kind);
		return -RAY_ENOENT;
	}
	a = kzalloc(sizeof(*a), MEM_VDEV);
	if (!a) {
		ray_snprintf(why, why_len, "%s: %s", kind, ray_strerror(-RAY_ENOMEM));
		return -RAY_ENOMEM;
	}
	a->kind = k;
	a->vm = vm;
	a->slot = -1;
	a->serial = __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
	strlcpy(a->spec, text, sizeof(a->spec));
	number(vm, a);
	bucket_init(&a->told_ready, 1, VATTACH_TELL_BURST, time_tsc_hz());
	bucket_init(&a->told_broken, 1, VATTACH_TELL_BURST, time_tsc_hz());
	vhandler_init(&a->handler, vm->id, k->policy, a->index);
	if (k->single && a->index > 0) {
		ray_snprintf(why, why_len, "%s: a VM has one at most", kind);
		err = -RAY_EEXIST;
	} else {
		err = spec_open(k, a, text, why, why_len);
	}
	if (err) {
		kfree(a);
		return err;
	}
	list_add_tail(&a->node, &vm->attached);
	*out = a;
	return 0;
}

static void attach_close(struct vattach *a)
{
	list_del(&a->node);
	a->kind->close(a);
	kfree(a);
}

void vattach_close_all(struct vm *vm)
{
	struct vattach *a, *next;

	list_for_each_entry_safe(a, next, &vm->attached, node)
		attach_close(a);
	vm->devices_open = false;
}

/* A guest that is reset has let go of everything. */
static void leaving_close(struct vm *vm)
{
	struct vattach *a, *next;

	list_for_each_entry_safe(a, next, &vm->attached, node) {
		if (a->leaving)
			vattach_remove(a);
	}
}

static bool asks_for_seed(const struct vm_dev_def *d)
{
	return strcmp(d->kind, "disk") == 0 &&
	       (strcmp(d->spec, "seed") == 0 || strncmp(d->spec, "seed,", 5) == 0);
}

/* What a cloud image is to be told stands on a disk, behind the others unless it has its place. */
static int seed_open(struct vm *vm, char *why, size_t why_len)
{
	struct vattach *a;

	if (!vm_seed_any(&vm->def.seed))
		return 0;
	for (uint32_t i = 0; i < vm->def.dev_count; i++) {
		if (asks_for_seed(&vm->def.dev[i]))
			return 0;
	}
	return attach_open(vm, "disk", "seed,serial=seed", &a, why, why_len);
}

int vattach_open_all(struct vm *vm, char *why, size_t why_len)
{
	struct quota_limits net;
	struct vattach *a;
	int err = 0;

	if (vm->devices_open) {
		leaving_close(vm);
		return 0; /* a reset */
	}
	net = quota_limits_of_rate(vm->def.net_rate);
	quota_init(&vm->net_quota, &net, time_tsc_hz());
	for (uint32_t i = 0; i < vm->def.dev_count && !err; i++)
		err = attach_open(vm, vm->def.dev[i].kind, vm->def.dev[i].spec, &a, why, why_len);
	if (!err)
		err = seed_open(vm, why, why_len);
	if (err)
		vattach_close_all(vm);
	else
		vm->devices_open = true;
	return err;
}

static int attach_create(struct vattach *a)
{
	bool first = a->slot < 0;
	struct virtio_dev *d;
	int err = a->kind->create(a, &d);

	if (err)
		return err;
	err = virtio_dev_plug(d);
	if (err) {
		virtio_dev_destroy(d);
		return err;
	}
	if (first)
		marker_print(MARKER_DEVICE_ATTACHED, "vm=%s device=%s slot=%d", a->vm->def.name,
			     a->name, a->slot);
	return 0;
}

int vattach_create_all(struct vm *vm)
{
	struct vattach *a;
	int err = 0;

	list_for_each_entry(a, &vm->attached, node) {
		err = attach_create(a);
		if (err)
			break;
	}
	return err;
}

int vattach_add(struct vm *vm, const char *kind, const char *spec, struct vattach **out, char *why,
		size_t why_len)
{
	int err = attach_open(vm, kind, spec, out, why, why_len);

	if (err)
		return err;
	err = attach_create(*out);
	if (err) {
		ray_snprintf(why, why_len, "%s: %s", (*out)->name, ray_strerror(err));
		attach_close(*out);
		return err;
	}
	if (vm->state == VM_PAUSED)
		(*out)->dev->vdev_ops.quiesce(&(*out)->dev->dev);
	vhotplug_plugged(vm, (unsigned int)(*out)->slot);
	return 0;
}

void vattach_remove(struct vattach *a)
{
	char name[VATTACH_NAME_MAX];
	struct vm *vm = a->vm;

	memcpy(name, a->name, sizeof(name));
	if (a->dev)
		virtio_dev_destroy(a->dev);
	attach_close(a);
	marker_print(MARKER_DEVICE_DETACHED, "vm=%s device=%s", vm->def.name, name);
}

void vattach_limit(struct vattach *a, const struct quota_limits *limits)
{
	if (a->dev)
		virtio_dev_hold(a->dev);
	vhandler_limit(&a->handler, limits);
	if (a->dev)
		virtio_dev_let_go(a->dev);
}

/* Let all of them take from @shared, or from nothing. */
static void net_share(struct vm *vm, struct quota *shared)
{
	struct vattach *a;

	list_for_each_entry(a, &vm->attached, node) {
		if (a->kind->policy != POLICY_NET)
			continue;
		if (a->dev)
			virtio_dev_hold(a->dev);
		__atomic_store_n(&a->handler.shared, shared, __ATOMIC_RELAXED);
		if (a->dev)
			virtio_dev_let_go(a->dev);
	}
}

void vattach_limit_net(struct vm *vm, const struct quota_limits *limits)
{
	/* One card is held after the other; for a moment nobody takes, and nothing limits. */
	net_share(vm, NULL);
	quota_set(&vm->net_quota, limits, time_tsc_hz());
	net_share(vm, &vm->net_quota);
}

void vattach_pull(struct vattach *a)
{
	struct vm *vm = a->vm;

	vattach_remove(a);
	vhotplug_pulled(vm);
}

int vattach_ask(struct vattach *a, char *why, size_t why_len)
{
	if (a->vm->state != VM_RUNNING) {
		ray_snprintf(why, why_len, "'%s' is %s and cannot let go of %s", a->vm->def.name,
			     vm_state_name(a->vm->state), a->name);
		return -RAY_EINVAL;
	}
	if (!vhotplug_want(a->vm, (unsigned int)a->slot)) {
		ray_snprintf(why, why_len, "the guest does not listen for requests to let go of "
			     "devices: it has not come that far, or does without ACPI");
		return -RAY_ENOSYS;
	}
	a->leaving = true;
	return 0;
}

void vattach_remove_slots(struct vm *vm, uint32_t slots)
{
	struct vattach *a, *next;

	list_for_each_entry_safe(a, next, &vm->attached, node) {
		if (a->slot >= 0 && (slots & BIT(a->slot)))
			vattach_remove(a);
	}
}

struct vattach *vattach_find(struct vm *vm, const char *name)
{
	struct vattach *a;

	list_for_each_entry(a, &vm->attached, node) {
		if (strcmp(a->name, name) == 0)
			return a;
	}
	return NULL;
}
