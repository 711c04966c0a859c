/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/preempt.h"
#include "kernel/panic.h"
#include "kernel/sched/sched_priv.h"
#include "kernel/sched/wait.h"

#ifdef RAYOS_DEBUG
static void check_acquire(const struct mutex *m)
{
	unsigned int clash = lockcheck_add(&thread_current()->mutexes, m->order);

	if (clash)
		panic("mutex of order %u taken while one of %u is held", m->order, clash);
}

static void check_release(const struct mutex *m)
{
	if (!lockcheck_del(&thread_current()->mutexes, m->order))
		panic("mutex of order %u released but not held", m->order);
}
#else
static inline void check_acquire(const struct mutex *m)
{
	(void)m;
}
static inline void check_release(const struct mutex *m)
{
	(void)m;
}
#endif

void mutex_init(struct mutex *m, enum lock_order order)
{
	waitq_init(&m->q);
	m->owner = NULL;
	m->order = (uint16_t)order;
}

static bool try_take(struct mutex *m)
{
	struct thread *expected = NULL;

	return __atomic_compare_exchange_n(&m->owner, &expected, thread_current(), false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void mutex_lock(struct mutex *m)
{
	ASSERT(preempt_count() == 0 && m->owner != thread_current());
	if (!try_take(m))
		(void)wait_event(&m->q, try_take(m), UINT64_MAX);
	check_acquire(m);
}

bool mutex_trylock(struct mutex *m)
{
	if (!try_take(m))
		return false;
	check_acquire(m);
	return true;
}

void mutex_unlock(struct mutex *m)
{
	ASSERT(m->owner == thread_current());
	check_release(m);
	/*
	 * A full barrier between giving it up and looking for waiters: a waiter queues itself,
	 * then tries again, with a full barrier between (the queue lock, the exchange).
	 */
	(void)__atomic_exchange_n(&m->owner, NULL, __ATOMIC_SEQ_CST);
	if (!list_empty(&m->q.waiters))
		waitq_wake_one(&m->q);
}
