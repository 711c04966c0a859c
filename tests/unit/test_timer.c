/* UNIT: kernel/time/timer.c kernel/lib/muldiv.c kernel/time/scale.c kernel/lib/pheap.c */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/lapic.h"
#include "kernel/arch/percpu.h"
#include "kernel/time/time.h"
#include "tests/host/fake_lock.h"

/* The hardware of each CPU: 0 = silent. */
static uint64_t armed[FAKE_CPUS];
static unsigned int writes;

void lapic_timer_arm(uint64_t tsc)
{
	armed[fake_cpu_now] = tsc;
	writes++;
}

void lapic_timer_disarm(void)
{
	armed[fake_cpu_now] = 0;
	writes++;
}

uint64_t time_ns_to_tsc(uint64_t ns)
{
	return ns == UINT64_MAX ? UINT64_MAX : ns * 2;
}

struct probe {
	struct timer t;
	unsigned int fired;
	uint64_t rearm; /* ticks from now, 0: not again */
};

static unsigned int order;
static unsigned int fired_order[64];
static struct probe *probes_base;

static void fired(struct timer *t)
{
	struct probe *p = container_of(t, struct probe, t);

	assert_false(timer_armed(t));
	assert_true(t->deadline_tsc <= rdtsc());
	p->fired++;
	if (probes_base && order < ARRAY_SIZE(fired_order))
		fired_order[order++] = (unsigned int)(p - probes_base);
	if (p->rearm)
		timer_set_tsc(t, rdtsc() + p->rearm);
}

static int setup(void **state)
{
	(void)state;
	fake_cpu_now = 0;
	fake_tsc = 1000;
	order = 0;
	probes_base = NULL;
	memset(armed, 0, sizeof(armed));
	writes = 0;
	return 0;
}

/* What the CPU does when its timer fires, as long as the deadline is due. */
static void run_until(uint64_t tsc)
{
	while (armed[fake_cpu_now] && armed[fake_cpu_now] <= tsc) {
		if (fake_tsc < armed[fake_cpu_now])
			fake_tsc = armed[fake_cpu_now];
		armed[fake_cpu_now] = 0; /* one shot */
		timer_interrupt();
	}
	fake_tsc = tsc;
}

static void test_fires_in_order(void **state)
{
	struct probe p[8];

	(void)state;
	probes_base = p;
	for (unsigned int i = 0; i < 8; i++) {
		p[i].fired = 0;
		p[i].rearm = 0;
		timer_init(&p[i].t, fired);
		timer_set_tsc(&p[i].t, 2000 + (i * 5 % 8) * 10);
	}
	assert_int_equal(armed[0], 2000);
	assert_int_equal(timer_next_tsc(), 2000);
	run_until(1999);
	assert_int_equal(order, 0);
	run_until(5000);
	assert_int_equal(order, 8);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(fired_order[i] * 5 % 8, i);
	assert_true(timer_next_tsc() == UINT64_MAX);
	assert_int_equal(armed[0], 0);
}

static void test_hardware_is_touched_only_for_the_earliest(void **state)
{
	struct probe a = { .fired = 0 }, b = { .fired = 0 };

	(void)state;
	timer_init(&a.t, fired);
	timer_init(&b.t, fired);
	timer_set_tsc(&a.t, 3000);
	assert_int_equal(writes, 1);
	timer_set_tsc(&b.t, 4000);
	assert_int_equal(writes, 1);
	timer_set_tsc(&b.t, 5000);
	assert_int_equal(writes, 1);
	timer_cancel(&b.t);
	assert_int_equal(writes, 1);
	timer_set_ns(&b.t, 1000); /* 2000 ticks */
	assert_int_equal(writes, 2);
	assert_int_equal(armed[0], 2000);
	timer_cancel(&b.t);
	assert_int_equal(armed[0], 3000);
	timer_set_tsc(&a.t, 6000); /* later, yet still the first */
	assert_int_equal(armed[0], 6000);
	timer_set_ns(&a.t, UINT64_MAX);
	assert_false(timer_armed(&a.t));
	assert_int_equal(armed[0], 0);
	assert_int_equal(a.fired + b.fired, 0);
}

static void test_early_interrupt_fires_nothing(void **state)
{
	struct probe a = { .fired = 0 };

	(void)state;
	timer_init(&a.t, fired);
	timer_set_tsc(&a.t, 3000);
	fake_tsc = 2990;
	armed[0] = 0;
	timer_interrupt();
	assert_int_equal(a.fired, 0);
	assert_int_equal(armed[0], 3000);
	run_until(3000);
	assert_int_equal(a.fired, 1);
	/* Nothing armed: an interrupt on its way does no harm. */
	timer_interrupt();
	assert_int_equal(a.fired, 1);
	assert_int_equal(armed[0], 0);
}

static void test_rearm_from_the_callback(void **state)
{
	struct probe a = { .fired = 0, .rearm = 100 };

	(void)state;
	timer_init(&a.t, fired);
	timer_set_tsc(&a.t, 2000);
	writes = 0;
	run_until(2000);
	assert_int_equal(a.fired, 1);
	assert_int_equal(armed[0], 2100);
	assert_int_equal(writes, 1);
	run_until(3000);
	assert_int_equal(a.fired, 11);
	timer_cancel(&a.t);
	assert_int_equal(armed[0], 0);
}

static void test_moves_to_the_cpu_that_sets_it(void **state)
{
	struct probe a = { .fired = 0 };

	(void)state;
	timer_init(&a.t, fired);
	timer_set_tsc(&a.t, 2000);
	fake_cpu_now = 2;
	timer_set_tsc(&a.t, 2500);
	assert_int_equal(armed[2], 2500);
	assert_int_equal(a.t.cpu, 2);
	/* The first CPU still gets its interrupt, and finds nothing. */
	fake_cpu_now = 0;
	fake_tsc = 2000;
	timer_interrupt();
	assert_int_equal(a.fired, 0);
	assert_true(timer_next_tsc() == UINT64_MAX);
	/* Cancelled from afar: that CPU's hardware stays as it is. */
	timer_cancel(&a.t);
	assert_int_equal(armed[2], 2500);
	fake_cpu_now = 2;
	run_until(2500);
	assert_int_equal(a.fired, 0);
}

static void test_random(void **state)
{
	static struct probe p[64];
	uint64_t rng = 12345;

	(void)state;
	memset(p, 0, sizeof(p));
	for (unsigned int i = 0; i < 64; i++)
		timer_init(&p[i].t, fired);
	for (unsigned int step = 0; step < 20000; step++) {
		struct probe *x;
		uint64_t min = UINT64_MAX;

		rng = rng * 6364136223846793005ull + 1442695040888963407ull;
		x = &p[(rng >> 33) % 64];
		if ((rng >> 40) % 4 == 0)
			timer_cancel(&x->t);
		else
			timer_set_tsc(&x->t, fake_tsc + (rng >> 45) % 5000);
		if ((rng >> 50) % 8 == 0)
			run_until(fake_tsc + 300);
		for (unsigned int i = 0; i < 64; i++)
			if (timer_armed(&p[i].t) && p[i].t.deadline_tsc < min)
				min = p[i].t.deadline_tsc;
		assert_true(timer_next_tsc() == min);
		assert_int_equal(armed[0], min == UINT64_MAX ? 0 : min);
	}
	for (unsigned int i = 0; i < 64; i++)
		timer_cancel(&p[i].t);
	assert_int_equal(fake_lock_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_fires_in_order, setup),
		cmocka_unit_test_setup(test_hardware_is_touched_only_for_the_earliest, setup),
		cmocka_unit_test_setup(test_early_interrupt_fires_nothing, setup),
		cmocka_unit_test_setup(test_rearm_from_the_callback, setup),
		cmocka_unit_test_setup(test_moves_to_the_cpu_that_sets_it, setup),
		cmocka_unit_test_setup(test_random, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
