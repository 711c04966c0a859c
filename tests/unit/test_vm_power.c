/* UNIT: hv/vm_power.c */
// SPDX-License-Identifier: Apache-2.0
/* Orderly stop of all VMs: who hears the button, who is killed, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hv/vm.h"
#include "hv/vm_power.h"
#include "kernel/lib/err.h"
#include "kernel/power/power.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"
#include "tests/host/fake_log.h"

#define VMS 4

static struct vm *vms[VMS];
static uint64_t now, stops_at[VMS]; /* when the guest obeys; UINT64_MAX: never */
static unsigned int stopped, killed, resumed;
static bool in_registry;
static struct power_stop *registered;

void power_stop_add(struct power_stop *s)
{
	registered = s;
}

int vm_for_each(int (*fn)(struct vm *vm, void *ctx), void *ctx)
{
	int r = 0;

	in_registry = true;
	for (unsigned int i = 0; i < VMS && r == 0; i++)
		r = fn(vms[i], ctx);
	in_registry = false;
	return r;
}

int vm_stop(struct vm *vm)
{
	if (vm->state != VM_RUNNING)
		return -RAY_EINVAL;
	stopped++;
	return 0;
}

int vm_resume(struct vm *vm)
{
	assert_int_equal(vm->state, VM_PAUSED);
	vm->state = VM_RUNNING;
	resumed++;
	return 0;
}

int vm_kill(struct vm *vm, const char *reason)
{
	assert_false(in_registry);
	assert_null(strchr(reason, ' '));
	assert_int_equal(vm->refs, 2);
	vm->state = VM_STOPPED;
	killed++;
	return 0;
}

void vm_put(struct vm *vm)
{
	vm->refs--;
}

uint64_t time_now(void)
{
	return now;
}

void thread_sleep_until(uint64_t deadline_ns)
{
	assert_true(deadline_ns > now);
	now = deadline_ns;
	for (unsigned int i = 0; i < VMS; i++) {
		if (vms[i]->state == VM_RUNNING && stops_at[i] <= now)
			vms[i]->state = VM_STOPPED;
	}
}

static int setup(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < VMS; i++) {
		vms[i] = calloc(1, sizeof(*vms[i]));
		assert_non_null(vms[i]);
		vms[i]->state = VM_DEFINED;
		vms[i]->refs = 1;
		stops_at[i] = UINT64_MAX;
	}
	now = stopped = killed = resumed = 0;
	assert_int_equal(vm_power_init(), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < VMS; i++) {
		assert_int_equal(vms[i]->refs, 1);
		free(vms[i]);
	}
	return 0;
}

#define DEADLINE 10000000000ull

static void test_nothing_runs(void **state)
{
	(void)state;
	registered->stop(POWER_OFF, DEADLINE);
	assert_int_equal(now, 0);
	assert_int_equal(stopped + killed, 0);
}

static void test_all_obey(void **state)
{
	(void)state;
	vms[0]->state = VM_RUNNING;
	vms[2]->state = VM_RUNNING;
	stops_at[0] = DEADLINE / 10;
	stops_at[2] = DEADLINE / 5;
	registered->stop(POWER_OFF, DEADLINE);
	assert_int_equal(stopped, 2);
	assert_int_equal(killed, 0);
	assert_true(now >= DEADLINE / 5 && now < DEADLINE / 4);
}

static void test_the_deaf_are_killed(void **state)
{
	(void)state;
	vms[0]->state = VM_RUNNING;
	vms[1]->state = VM_PAUSED;
	vms[3]->state = VM_RUNNING;
	stops_at[3] = 1;
	registered->stop(POWER_RESET, DEADLINE);
	assert_int_equal(resumed, 1);
	assert_int_equal(stopped, 3);
	assert_int_equal(killed, 2);
	assert_true(now >= DEADLINE && now < DEADLINE + DEADLINE / 10);
	for (unsigned int i = 0; i < VMS; i++)
		assert_true(vms[i]->state == VM_STOPPED || vms[i]->state == VM_DEFINED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_obey, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_deaf_are_killed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
