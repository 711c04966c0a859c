/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/cpu.h"
#include "kernel/arch/percpu.h"
#include "kernel/arch/preempt.h"
#include "kernel/counter.h"
#include "kernel/panic.h"
#include "kernel/sched/epoch.h"
#include "kernel/sched/epoch_logic.h"
#include "kernel/sched/sched_priv.h"
#include "kernel/sched/thread.h"

#define SYNC_WAIT_NS 50000ull

COUNTER(freed, "epoch.freed", "objects freed after their readers had left");

uint64_t epoch_now = EPOCH_WORD(1);
static struct epoch_entry *retired; /* pushed by any CPU, taken whole by housekeeping */
static struct epoch_entry *waiting; /* housekeeping's own */

void epoch_enter(void)
{
	struct cpu *c;
	uint64_t now;

	preempt_count_inc();
	c = this_cpu();
	now = __atomic_load_n(&epoch_now, __ATOMIC_ACQUIRE);
	/*
	 * A full barrier: the word is visible before anything in the section is read. Whoever
	 * retires does the reverse: takes out of sight, full barrier, reads the words.
	 */
	__atomic_exchange_n(&c->epoch, epoch_word_enter(c->epoch, now), __ATOMIC_SEQ_CST);
}

void epoch_leave(void)
{
	struct cpu *c = this_cpu();

	ASSERT_SLOW(c->epoch != 0);
	__atomic_store_n(&c->epoch, epoch_word_leave(c->epoch), __ATOMIC_RELEASE);
	preempt_enable();
}

/* Whether no reader is left that could see what was retired at @epoch. */
static bool epoch_passed(uint64_t epoch)
{
	for (unsigned int i = 0; i < CPU_MAX; i++)
		if (epoch_word_blocks(__atomic_load_n(&cpu_get(i)->epoch, __ATOMIC_ACQUIRE),
				      epoch))
			return false;
	return true;
}

/* The epoch in which an object just taken out of sight may have been seen last. */
static uint64_t epoch_retire(void)
{
	return __atomic_fetch_add(&epoch_now, EPOCH_STEP, __ATOMIC_SEQ_CST);
}

void epoch_call(struct epoch_entry *e, void (*fn)(struct epoch_entry *e))
{
	e->fn = fn;
	e->epoch = epoch_retire();
	e->next = __atomic_load_n(&retired, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&retired, &e->next, e, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	housekeeping_wake();
}

bool epoch_reclaim(void)
{
	struct epoch_entry *e = __atomic_exchange_n(&retired, NULL, __ATOMIC_ACQUIRE);
	struct epoch_entry *left = NULL;

	while (e || waiting) {
		struct epoch_entry **from = e ? &e : &waiting, *one = *from;

		*from = one->next;
		if (epoch_passed(one->epoch)) {
			one->fn(one);
			counter_inc(freed);
		} else {
			one->next = left;
			left = one;
		}
	}
	waiting = left;
	return left != NULL;
}

void epoch_synchronize(void)
{
	uint64_t epoch = epoch_retire();

	ASSERT(this_cpu()->epoch == 0);
	while (!epoch_passed(epoch))
		thread_sleep_until(time_now() + SYNC_WAIT_NS);
}
