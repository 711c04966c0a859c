/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting, pausing, ending: the states of a VM and the thread that clears up behind it, and
 * does what those may only ask for that cannot wait.
 */
#include <stdarg.h>
#include <string.h>

#include "hv/hv.h"
#include "hv/platform.h"
#include "hv/pv.h"
#include "hv/vcpu_priv.h"
#include "hv/vm_priv.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#define LOG_TAG "vm"
#include "kernel/log.h"
#include "kernel/marker.h"
#include "kernel/time/time.h"

static struct waitq reaper_wait;
static volatile uint32_t reaper_work;

static void request_all(struct vm *vm, uint64_t bits)
{
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vcpu_request(vm->vcpu[i], bits);
}

static bool is_active(const struct vm *vm)
{
	return vm->state == VM_RUNNING || vm->state == VM_PAUSED;
}

/* Nothing of it runs that could ask for a pause. */
static void pause_forget(struct vm *vm)
{
	vm->pause_reason[0] = '\0';
	vm->pause_asked = 0;
	__atomic_store_n(&vm->pause_claimed, 0, __ATOMIC_RELEASE);
}

/* The first to claim it gives the reason, which is readable before what it is for is said. */
static bool reason_give(uint32_t *claimed, char *reason, size_t len, const char *fmt, va_list ap)
{
	if (__atomic_exchange_n(claimed, 1, __ATOMIC_ACQ_REL) != 0)
		return false;
	ray_vsnprintf(reason, len, fmt, ap);
	return true;
}

/* --- start --- */

/* What a reset keeps; there already when this is one. */
static int platform_open(struct vm *vm, char *why, size_t why_len)
{
	const struct vplatform_ops *p = hv_platform();

	return p != NULL ? p->open(vm, why, why_len) : 0;
}

static void platform_close(struct vm *vm)
{
	const struct vplatform_ops *p = hv_platform();

	if (p != NULL)
		p->close(vm);
}

int vm_start_locked(struct vm *vm, char *why, size_t why_len)
{
	int err;

	if (hv_backend == NULL) {
		ray_snprintf(why, why_len, "this CPU offers neither VMX nor SVM (see `cpu`)");
		return -RAY_ENOSYS;
	}
	if (is_active(vm)) {
		ray_snprintf(why, why_len, "'%s' is %s already", vm->def.name, vm_state_name(vm->state));
		return -RAY_EBUSY;
	}
	vm->start_tsc = rdtsc();
	vm->first_output_tsc = 0;
	vm->ending = VM_END_NONE;
	vm->end_claimed = 0;
	vm->reason[0] = '\0';
	pause_forget(vm);
	err = platform_open(vm, why, why_len);
	if (err != 0)
		return err;
	err = vm_build(vm, why, why_len);
	if (err != 0) {
		platform_close(vm);
		return err;
	}
	pv_clock_start(vm, rdtsc() + vm->tsc_offset, 0);
	vm->started_ns = time_now();
	vm->state = VM_RUNNING;
	marker_print(MARKER_VM_STARTED, "name=%s", vm->def.name);
	for (unsigned int i = 0; i < vm->vcpu_count && err == 0; i++)
		err = vcpu_start(vm->vcpu[i]);
	if (err != 0) {
		vm->state = VM_STOPPED;
		request_all(vm, VCPU_REQ_STOP);
		vm_demolish(vm);
		platform_close(vm);
		ray_snprintf(why, why_len, "threads: %s", ray_strerror(err));
	}
	return err;
}

int vm_start(struct vm *vm, char *why, size_t why_len)
{
	int err;

	mutex_lock(&vm->lock);
	err = vm_start_locked(vm, why, why_len);
	mutex_unlock(&vm->lock);
	return err;
}

/* --- pause and resume --- */

void vm_wait_parked(struct vm *vm)
{
	request_all(vm, VCPU_REQ_STOP);
	wait_event(&vm->idle_wait, vm->running_vcpus == 0, UINT64_MAX);
}

void vm_quiesce(struct vm *vm)
{
	struct vdev *d;

	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vlapic_quiesce(vm->vcpu[i]);
	list_for_each_entry(d, &vm->vdevs, node)
		d->ops->quiesce(d);
}

int vm_pause_locked(struct vm *vm)
{
	if (vm->state != VM_RUNNING)
		return -RAY_EINVAL;
	vm->state = VM_PAUSED;
	vm_wait_parked(vm);
	vm_quiesce(vm);
	return 0;
}

int vm_pause(struct vm *vm)
{
	int err;

	mutex_lock(&vm->lock);
	err = vm_pause_locked(vm);
	mutex_unlock(&vm->lock);
	return err;
}

int vm_resume_locked(struct vm *vm)
{
	struct vdev *d;

	if (vm->state != VM_PAUSED || vm->ending != VM_END_NONE)
		return -RAY_EINVAL;
	pause_forget(vm);
	list_for_each_entry(d, &vm->vdevs, node)
		d->ops->resume(d);
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vlapic_resume(vm->vcpu[i]);
	vm->state = VM_RUNNING;
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vcpu_unpark(vm->vcpu[i]);
	return 0;
}

int vm_resume(struct vm *vm)
{
	int err;

	mutex_lock(&vm->lock);
	err = vm_resume_locked(vm);
	mutex_unlock(&vm->lock);
	return err;
}

void vm_pause_for(struct vm *vm, const char *fmt, ...)
{
	va_list ap;
	bool first;

	va_start(ap, fmt);
	first = reason_give(&vm->pause_claimed, vm->pause_reason, sizeof(vm->pause_reason), fmt, ap);
	va_end(ap);
	if (!first)
		return;
	__atomic_store_n(&vm->pause_asked, 1, __ATOMIC_SEQ_CST);
	vm_reaper_wake();
}

/* --- ending --- */

void vm_end(struct vm *vm, enum vm_end how, const char *fmt, ...)
{
	va_list ap;
	bool first;

	va_start(ap, fmt);
	first = reason_give(&vm->end_claimed, vm->reason, sizeof(vm->reason), fmt, ap);
	va_end(ap);
	if (!first)
		return;
	__atomic_store_n(&vm->ending, (uint32_t)how, __ATOMIC_SEQ_CST);
	request_all(vm, VCPU_REQ_STOP);
	vm_reaper_wake();
}

int vm_stop(struct vm *vm)
{
	const struct vplatform_ops *p = hv_platform();
	int err = -RAY_EINVAL;

	mutex_lock(&vm->lock);
	if (vm->state == VM_RUNNING && p != NULL) {
		p->power_button(vm);
		err = 0;
	}
	mutex_unlock(&vm->lock);
	return err;
}

/* End it, and wait until the reaper has taken it down. */
static int end_and_wait(struct vm *vm, enum vm_end how, const char *reason)
{
	mutex_lock(&vm->lock);
	if (!is_active(vm)) {
		mutex_unlock(&vm->lock);
		return -RAY_EINVAL;
	}
	uint64_t generation = vm->end_count;
	vm_end(vm, how, "%s", reason);
	mutex_unlock(&vm->lock);
	wait_event(&vm->idle_wait, vm->end_count != generation, UINT64_MAX);
	return 0;
}

int vm_kill(struct vm *vm, const char *reason)
{
	return end_and_wait(vm, VM_END_KILL, reason);
}

int vm_reset(struct vm *vm)
{
	return end_and_wait(vm, VM_END_RESET, "operator");
}

/* --- the reaper --- */

void vm_reaper_wake(void)
{
	__atomic_store_n(&reaper_work, 1, __ATOMIC_SEQ_CST);
	waitq_wake_all(&reaper_wait);
}

static void announce(const struct vm *vm, enum vm_end how)
{
	enum marker m = how == VM_END_CRASH ? MARKER_VM_CRASHED :
			how == VM_END_KILL  ? MARKER_VM_KILLED :
					      MARKER_VM_STOPPED;
	char reason[sizeof(vm->reason)];

	marker_print(m, "name=%s reason=%s", vm->def.name,
		     marker_value(reason, sizeof(reason), vm->reason));
}

static void reap_locked(struct vm *vm)
{
	enum vm_end how = (enum vm_end)vm->ending;
	char why[128];

	wait_event(&vm->idle_wait, vm->running_vcpus == 0, UINT64_MAX);
	vm_demolish(vm);
	if (how != VM_END_RESET)
		platform_close(vm);
	vm->state = how == VM_END_CRASH ? VM_CRASHED : VM_STOPPED;
	if (how == VM_END_CRASH)
		vm->crash_count++;
	if (how == VM_END_RESET) {
		vm->reset_count++;
		log_info("reset name=%s by=%s", vm->def.name, vm->reason);
		if (vm_start_locked(vm, why, sizeof(why)) != 0) {
			ray_snprintf(vm->reason, sizeof(vm->reason), "reset-failed");
			log_err("cannot restart name=%s why=\"%s\"", vm->def.name, why);
			vm->state = VM_CRASHED;
			announce(vm, VM_END_CRASH);
		}
	} else {
		announce(vm, how);
	}
	vm->end_count++;
	waitq_wake_all(&vm->idle_wait);
}

/* An operator may have paused it before; who waits for it is told in any case. */
static void pause_as_asked(struct vm *vm)
{
	char reason[sizeof(vm->pause_reason)];

	vm->pause_asked = 0;
	if (vm_pause_locked(vm) != 0 && vm->state != VM_PAUSED)
		return;
	marker_print(MARKER_VM_PAUSED, "name=%s reason=%s", vm->def.name,
		     marker_value(reason, sizeof(reason), vm->pause_reason));
}

static int find_work(struct vm *vm, void *ctx)
{
	struct vm **out = ctx;

	if (!is_active(vm) || (vm->ending == VM_END_NONE && !vm->pause_asked))
		return 0;
	__atomic_add_fetch(&vm->refs, 1, __ATOMIC_RELAXED);
	*out = vm;
	return 1;
}

static void reaper_thread(void *arg)
{
	(void)arg;
	for (;;) {
		struct vm *vm = NULL;

		wait_event(&reaper_wait, reaper_work != 0, UINT64_MAX);
		__atomic_store_n(&reaper_work, 0, __ATOMIC_SEQ_CST);
		while (vm_for_each(find_work, &vm) != 0) {
			mutex_lock(&vm->lock);
			if (is_active(vm) && vm->ending != VM_END_NONE)
				reap_locked(vm);
			else if (vm->pause_asked)
				pause_as_asked(vm);
			mutex_unlock(&vm->lock);
			vm_put(vm);
		}
	}
}

int vm_reaper_init(void)
{
	struct thread_attr attr = { .cls = THREAD_CLASS_WORKER, .cpu = -1 };
	struct thread *t;
	int err;

	waitq_init(&reaper_wait);
	err = thread_create(&t, "vm-reaper", reaper_thread, NULL, &attr);
	if (err == 0)
		thread_detach(t);
	return err;
}
