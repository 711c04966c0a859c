/* UNIT: kernel/power/power.c kernel/lib/err.c */
// SPDX-License-Identifier: Apache-2.0
/* The order in which the machine ends, and what happens when it cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/acpi/acpi.h"
#include "kernel/arch/reset.h"
#include "kernel/lib/err.h"
#include "kernel/marker.h"
#include "kernel/power/power.h"
#include "kernel/sched/spinlock.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"
#include "tests/host/fake_log.h"

static char events[32]; /* one letter for each thing that happened */
static int prepare_result;
static jmp_buf machine_off;

static void event(char c)
{
	size_t n = strlen(events);

	assert_true(n + 1 < sizeof(events));
	events[n] = c;
	events[n + 1] = '\0';
}

int acpi_off_prepare(void)
{
	event('p');
	return prepare_result;
}

int acpi_off_enter(void)
{
	event('o');
	return -RAY_EIO;
}

void arch_reset(void)
{
	event('r');
	longjmp(machine_off, 1);
}

enum acpi_state acpi_wait(uint64_t deadline_ns)
{
	(void)deadline_ns;
	return ACPI_STATE_READY;
}

static void (*button)(void);

int acpi_start(void (*on_power_button)(void))
{
	button = on_power_button;
	return 0;
}

void acpi_reset_init(void)
{
	event('i');
}

void marker_print(enum marker m, const char *fmt, ...)
{
	(void)fmt;
	event(m == MARKER_POWER_OFF ? 'O' : 'R');
}

uint64_t time_now(void)
{
	return 1000;
}

void spin_lock_init(struct spinlock *l, enum lock_order order)
{
	(void)l;
	(void)order;
}

uint64_t spin_lock_irqsave(struct spinlock *l)
{
	(void)l;
	return 0;
}

void spin_unlock_irqrestore(struct spinlock *l, uint64_t flags)
{
	(void)l;
	(void)flags;
}

static void (*thread_fn)(void *arg);
static void *thread_arg;
static int thread_result;

int thread_create(struct thread **out, const char *name, void (*fn)(void *arg), void *arg,
		  const struct thread_attr *attr)
{
	(void)name;
	(void)attr;
	*out = NULL;
	thread_fn = fn;
	thread_arg = arg;
	return thread_result;
}

void thread_detach(struct thread *t)
{
	(void)t;
	event('d');
}

static void stop_a(enum power_action action, uint64_t deadline_ns)
{
	assert_int_equal(deadline_ns, 1000 + POWER_STOP_NS);
	event(action == POWER_OFF ? 'a' : 'x');
	assert_int_equal(power_end(POWER_RESET), -RAY_EBUSY); /* one end at a time */
}

static void stop_b(enum power_action action, uint64_t deadline_ns)
{
	(void)action;
	(void)deadline_ns;
	event('b');
}

static int group_setup(void **state)
{
	static struct power_stop a = {.name = "a", .stop = stop_a}, b = {.name = "b", .stop = stop_b};

	(void)state;
	power_stop_add(&a);
	power_stop_add(&b);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	events[0] = '\0';
	prepare_result = 0;
	thread_result = 0;
	return 0;
}

static void test_off(void **state)
{
	(void)state;
	assert_int_equal(power_end(POWER_OFF), -RAY_EIO);
	assert_string_equal(events, "pbaOo");
}

static void test_off_impossible(void **state)
{
	(void)state;
	prepare_result = -RAY_ENOSYS;
	assert_int_equal(power_end(POWER_OFF), -RAY_ENOSYS);
	assert_string_equal(events, "p"); /* nothing was stopped, no marker */
	assert_int_equal(power_end(POWER_OFF), -RAY_ENOSYS); /* and it may be asked again */
}

static void test_button(void **state)
{
	(void)state;
	power_init();
	assert_string_equal(events, "i");
	assert_non_null(button);
	button();
	assert_string_equal(events, "id");
	thread_fn(thread_arg);
	assert_string_equal(events, "idpbaOo");
	thread_result = -RAY_ENOMEM;
	button();
	assert_string_equal(events, "idpbaOo");
}

static void test_reset(void **state)
{
	(void)state;
	if (setjmp(machine_off) == 0)
		assert_int_equal(power_end(POWER_RESET), 0);
	assert_string_equal(events, "bxRr");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_off, setup),
		cmocka_unit_test_setup(test_off_impossible, setup),
		cmocka_unit_test_setup(test_button, setup),
		cmocka_unit_test_setup(test_reset, setup), /* does not come back: last */
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
