/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_TAG "vm"
#include "hv/vm_power.h"

#include "hv/vm.h"
#include "kernel/log.h"
#include "kernel/power/power.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

/* Nothing but this waits when the machine goes down, so looking now and then is enough. */
#define LOOK_NS 50000000ull

static bool is_active(const struct vm *vm)
{
	return vm->state == VM_RUNNING || vm->state == VM_PAUSED;
}

/* A paused guest hears its button only once it runs. */
static int press_button(struct vm *vm, void *ctx)
{
	unsigned int *pressed = ctx;

	if (vm->state == VM_PAUSED && vm_resume(vm) != 0)
		return 0;
	if (vm_stop(vm) == 0)
		(*pressed)++;
	return 0;
}

static int is_active_one(struct vm *vm, void *ctx)
{
	(void)ctx;
	return is_active(vm);
}

static int take_active(struct vm *vm, void *ctx)
{
	struct vm **out = ctx;

	if (!is_active(vm))
		return 0;
	__atomic_add_fetch(&vm->refs, 1, __ATOMIC_RELAXED);
	*out = vm;
	return 1;
}

static void stop_all(enum power_action action, uint64_t deadline_ns)
{
	unsigned int pressed = 0;
	struct vm *vm = NULL;

	(void)action;
	vm_for_each(press_button, &pressed);
	if (pressed != 0)
		log_info("waiting for guests to stop: count=%u", pressed);
	while (vm_for_each(is_active_one, NULL) != 0 && time_now() < deadline_ns)
		thread_sleep_until(time_now() + LOOK_NS);
	/* Killed outside the registry's lock: taking a VM down needs it. */
	while (vm_for_each(take_active, &vm) != 0) {
		(void)!vm_kill(vm, "host-shutdown");
		vm_put(vm);
	}
}

int vm_power_init(void)
{
	static struct power_stop stop = {.name = "machines", .stop = stop_all};

	power_stop_add(&stop);
	return 0;
}
