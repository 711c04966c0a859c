/* UNIT: kernel/sched/runq.c kernel/lib/pheap.c */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/sched/runq.h"

enum { WORKER, NORMAL };

static struct runq_entity entity(uint8_t cls, uint64_t vruntime)
{
	return (struct runq_entity){ .cls = cls, .vruntime = vruntime };
}

/* What the scheduler does with a queue: the first one runs for @ticks and queues again. */
static struct runq_entity *run_first(struct runq_order *q, uint64_t ticks)
{
	struct runq_entity *e = runq_order_first(q);

	runq_order_remove(q, e);
	runq_order_started(q, e);
	e->vruntime += ticks;
	runq_order_add(q, e, UINT64_MAX);
	return e;
}

static void test_class_before_time(void **state)
{
	struct runq_order q;
	struct runq_entity n = entity(NORMAL, 1), w = entity(WORKER, 1000);

	(void)state;
	runq_order_init(&q);
	assert_null(runq_order_first(&q));
	runq_order_add(&q, &n, 0);
	runq_order_add(&q, &w, 0);
	assert_int_equal(q.count, 2);
	assert_ptr_equal(runq_order_first(&q), &w);
	assert_true(runq_order_waiting(&q, NORMAL));
	runq_order_remove(&q, &w);
	assert_false(w.queued);
	assert_ptr_equal(runq_order_first(&q), &n);
	assert_false(runq_order_waiting(&q, WORKER));
}

static void test_time_is_shared_evenly(void **state)
{
	struct runq_order q;
	struct runq_entity e[5];
	uint64_t ran[5] = { 0 };

	(void)state;
	runq_order_init(&q);
	for (int i = 0; i < 5; i++) {
		e[i] = entity(NORMAL, 0);
		runq_order_add(&q, &e[i], 0);
	}
	/* Uneven stretches: who runs long waits long. */
	for (unsigned int step = 0; step < 10000; step++) {
		uint64_t ticks = 1 + step * 7919 % 100;

		ran[run_first(&q, ticks) - e] += ticks;
	}
	for (int i = 1; i < 5; i++)
		assert_in_range(ran[i], ran[0] - 100, ran[0] + 100);
}

static void test_a_sleeper_cannot_hoard(void **state)
{
	struct runq_order q;
	struct runq_entity busy = entity(NORMAL, 0), sleeper = entity(NORMAL, 0);

	(void)state;
	runq_order_init(&q);
	runq_order_add(&q, &busy, 0);
	for (int i = 0; i < 1000; i++)
		run_first(&q, 10);
	runq_order_add(&q, &sleeper, 50);
	assert_int_equal(sleeper.vruntime, q.min_vruntime[NORMAL] - 50);
	assert_ptr_equal(runq_order_first(&q), &sleeper);
	for (int i = 0; i < 8; i++)
		run_first(&q, 10);
	assert_true(busy.vruntime > 10000);
}

static void test_move_keeps_the_lag(void **state)
{
	struct runq_order a, b;
	struct runq_entity ahead = entity(NORMAL, 130), behind = entity(NORMAL, 70);

	(void)state;
	runq_order_init(&a);
	runq_order_init(&b);
	a.min_vruntime[NORMAL] = 100;
	b.min_vruntime[NORMAL] = 5000;
	runq_order_move(&ahead, &a, &b);
	runq_order_move(&behind, &a, &b);
	assert_int_equal(ahead.vruntime, 5030);
	assert_int_equal(behind.vruntime, 4970);
	runq_order_move(&behind, &b, &a);
	assert_int_equal(behind.vruntime, 70);
	b.min_vruntime[NORMAL] = 6000;
	a.min_vruntime[NORMAL] = 10;
	behind.vruntime = 100;
	runq_order_move(&behind, &b, &a);
	assert_int_equal(behind.vruntime, 0);
}

static void test_preemption(void **state)
{
	struct runq_entity w = entity(WORKER, 900), n = entity(NORMAL, 100);

	(void)state;
	assert_true(runq_order_preempts(&w, NORMAL, 0, 1000));
	assert_false(runq_order_preempts(&n, WORKER, UINT64_MAX, 0));
	assert_false(runq_order_preempts(&n, NORMAL, 100, 0));
	assert_false(runq_order_preempts(&n, NORMAL, 150, 50));
	assert_true(runq_order_preempts(&n, NORMAL, 151, 50));
	assert_false(runq_order_preempts(&n, NORMAL, 50, 0));
}

static void test_oldest_first_in_the_list(void **state)
{
	struct runq_order q;
	struct runq_entity e[3] = { entity(NORMAL, 30), entity(WORKER, 20), entity(NORMAL, 10) };
	struct runq_entity *pos;
	int i = 0;

	(void)state;
	runq_order_init(&q);
	for (int k = 0; k < 3; k++)
		runq_order_add(&q, &e[k], UINT64_MAX);
	list_for_each_entry(pos, &q.queued, link)
		assert_ptr_equal(pos, &e[i++]);
	assert_int_equal(i, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_class_before_time),
		cmocka_unit_test(test_time_is_shared_evenly),
		cmocka_unit_test(test_a_sleeper_cannot_hoard),
		cmocka_unit_test(test_move_keeps_the_lag),
		cmocka_unit_test(test_preemption),
		cmocka_unit_test(test_oldest_first_in_the_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
