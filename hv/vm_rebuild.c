/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running VM taken apart and put together again around its memory: what every kind of
 * restore does, without the storing, and the proof that state records are complete.
 */
#include "hv/hv.h"
#include "hv/vcpu_priv.h"
#include "hv/vm_priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#define LOG_TAG "vm"
#include "kernel/log.h"
#include "kernel/mm/vmap.h"
#include "kernel/time/time.h"

static int parts_renew(struct vm *vm, struct state_buf *b, char *why, size_t why_len)
{
	const char *step;
	int err;

	vm_parts_demolish(vm);
	err = vm_parts_build(vm, &step);
	if (err != 0) {
		ray_snprintf(why, why_len, "%s: %s", step, ray_strerror(err));
		return err;
	}
	vm_quiesce(vm);
	err = vm_state_load_locked(vm, b, why, why_len);
	/* The VM is paused: they park at once. */
	for (unsigned int i = 0; i < vm->vcpu_count && err == 0; i++) {
		err = vcpu_start(vm->vcpu[i]);
		if (err != 0)
			ray_snprintf(why, why_len, "threads: %s", ray_strerror(err));
	}
	vm_wait_parked(vm);
	return err;
}

static int rebuild_paused(struct vm *vm, struct vm_rebuild_stats *out, char *why, size_t why_len)
{
	struct state_buf size = { .data = NULL }, b;
	int err = vm_state_save_locked(vm, &size);

	if (err != 0) {
		ray_snprintf(why, why_len, "counting: %s", ray_strerror(err));
		return err;
	}
	b = (struct state_buf){ .data = vmap_alloc(size.len), .cap = size.len };
	if (b.data == NULL) {
		ray_snprintf(why, why_len, "no memory for %lu bytes of state",
			     (unsigned long)size.len);
		return -RAY_ENOMEM;
	}
	err = vm_state_save_locked(vm, &b);
	if (err != 0) {
		ray_snprintf(why, why_len, "saving: %s", ray_strerror(err));
		goto out;
	}
	out->bytes = b.len;
	out->records = vm_state_records(vm);
	b.cap = b.len;
	err = parts_renew(vm, &b, why, why_len);
	if (err != 0)
		vm_end(vm, VM_END_CRASH, "rebuild: %s", why);
out:
	vmap_free(b.data);
	return err;
}

int vm_rebuild(struct vm *vm, struct vm_rebuild_stats *out, char *why, size_t why_len)
{
	uint64_t begun = time_now();
	bool running;
	int err = 0;

	mutex_lock(&vm->lock);
	running = vm->state == VM_RUNNING;
	if (running)
		err = vm_pause_locked(vm);
	if (err != 0 || vm->state != VM_PAUSED || vm->ending != VM_END_NONE) {
		ray_snprintf(why, why_len, "'%s' is %s; it must be running or paused", vm->def.name,
			     vm->ending != VM_END_NONE ? "ending" : vm_state_name(vm->state));
		err = -RAY_EINVAL;
		goto out;
	}
	err = rebuild_paused(vm, out, why, why_len);
	if (running && vm->ending == VM_END_NONE && vm_resume_locked(vm) != 0)
		log_err("cannot resume name=%s", vm->def.name);
	out->ns = time_now() - begun;
out:
	mutex_unlock(&vm->lock);
	return err;
}
