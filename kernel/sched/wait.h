/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleeping: wait queues, mutexes, completions.
 * The sleeper's rule: prepare, test the condition, sleep, test again - wait_event() does it.
 */
#ifndef RAYOS_KERNEL_SCHED_WAIT_H
#define RAYOS_KERNEL_SCHED_WAIT_H

#include "kernel/lib/list.h"
#include "kernel/lib/types.h"
#include "kernel/sched/spinlock.h"
#include "kernel/time/time.h"

struct thread;

struct waitq {
	struct spinlock lock;
	struct list_head waiters;
};

struct waiter {
	struct list_head node;
	struct thread *thread;
	bool queued;
};

#define WAITQ_INIT(name)                                                                           \
	{ .lock = SPINLOCK_INIT(LOCK_ORDER_WAIT), .waiters = LIST_HEAD_INIT((name).waiters) }

void waitq_init(struct waitq *q);
/** Wake one / all sleepers. Context: any but NMI. */
void waitq_wake_one(struct waitq *q);
void waitq_wake_all(struct waitq *q);

/*
 * The two halves of wait_event(). prepare queues *w (w->queued is false the first time), so
 * that a wake-up from then on makes the next waitq_sleep() of this thread return at once;
 * finish takes it off again.
 */
void waitq_prepare(struct waitq *q, struct waiter *w);
void waitq_finish(struct waitq *q, struct waiter *w);
/**
 * Sleep until woken, by a queue or by thread_wake(), or until @deadline_ns (time_now() scale;
 * UINT64_MAX: never). A wake-up since the last prepare, or since the last sleep, is kept: it
 * ends the sleep at once. May also return early: test the condition again.
 * Context: thread, IRQs on, no spinlock
 */
void waitq_sleep(uint64_t deadline_ns);

/**
 * Sleep until @cond holds or the deadline has passed.
 * @cond  is evaluated without locks, at least once, and not again after it held; it must not
 *        sleep itself, which would swallow the wake-up
 * @deadline_ns  is evaluated once
 * Context: thread, IRQs on, no spinlock. Value: whether cond held.
 */
#define wait_event(q, cond, deadline_ns)                                                           \
	({                                                                                         \
		struct waiter w_ = { .queued = false };                                            \
		const uint64_t end_ = (deadline_ns);                                               \
		bool ok_;                                                                          \
		do {                                                                               \
			waitq_prepare((q), &w_);                                                   \
			ok_ = (cond);                                                              \
			if (ok_ || time_now() >= end_)                                             \
				break;                                                             \
			waitq_sleep(end_);                                                         \
			/* Mostly it was woken for a reason: no need to line up again. */          \
			ok_ = (cond);                                                              \
		} while (!ok_);                                                                    \
		waitq_finish((q), &w_);                                                            \
		ok_;                                                                               \
	})

/** Sleeping lock; not recursive; owner must unlock. Context: thread, IRQs on. */
struct mutex {
	struct waitq q;
	struct thread *owner;
	uint16_t order; /* enum lock_order */
};
#define MUTEX_INIT(name, ord) { .q = WAITQ_INIT((name).q), .owner = NULL, .order = (ord) }

void mutex_init(struct mutex *m, enum lock_order order);
void mutex_lock(struct mutex *m);
bool mutex_trylock(struct mutex *m) __must_check;
void mutex_unlock(struct mutex *m);

#endif
