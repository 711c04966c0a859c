/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/sched/wait.h"

#include "kernel/arch/cpu.h"
#include "kernel/arch/preempt.h"
#include "kernel/panic.h"
#include "kernel/sched/sched_priv.h"
#include "kernel/sched/spinlock_irqoff.h"

void waitq_init(struct waitq *q)
{
	spin_lock_init(&q->lock, LOCK_ORDER_WAIT);
	list_init(&q->waiters);
}

static inline uint64_t queue_lock(struct waitq *q)
{
	uint64_t flags = irq_save();

	spin_lock_irqoff(&q->lock);
	return flags;
}

static inline void queue_unlock(struct waitq *q, uint64_t flags)
{
	spin_unlock_irqoff(&q->lock);
	irq_restore(flags);
}

/* The queue lock is held, which keeps the waiter, and so its thread, from going away. */
static void wake_first(struct waitq *q)
{
	struct waiter *w = list_first_entry(&q->waiters, struct waiter, node);

	list_del(&w->node);
	w->queued = false;
	sched_wake(w->thread);
}

/* The preempt count keeps the switch to who is woken until interrupts are as they were. */
void waitq_wake_one(struct waitq *q)
{
	uint64_t flags;

	preempt_count_inc();
	flags = queue_lock(q);
	if (!list_empty(&q->waiters))
		wake_first(q);
	queue_unlock(q, flags);
	preempt_enable();
}

void waitq_wake_all(struct waitq *q)
{
	uint64_t flags;

	preempt_count_inc();
	flags = queue_lock(q);
	while (!list_empty(&q->waiters))
		wake_first(q);
	queue_unlock(q, flags);
	preempt_enable();
}

void waitq_prepare(struct waitq *q, struct waiter *w)
{
	uint64_t flags = queue_lock(q);

	w->thread = current_thread();
	/* What happened before the condition is tested needs no wake-up. */
	w->thread->token = false;
	if (!w->queued) {
		list_add_tail(&w->node, &q->waiters);
		w->queued = true;
	}
	queue_unlock(q, flags);
}

void waitq_finish(struct waitq *q, struct waiter *w)
{
	/* The lock is taken in any case: a waker may just be using this waiter. */
	uint64_t flags = queue_lock(q);

	if (w->queued)
		list_del(&w->node);
	w->queued = false;
	queue_unlock(q, flags);
}

void waitq_sleep(uint64_t deadline_ns)
{
	struct thread *self = current_thread();
	uint64_t flags = irq_save();

	ASSERT(preempt_count() == 0);
	preempt_count_inc();
	if (deadline_ns != UINT64_MAX)
		timer_set_ns(&self->sleep_timer, deadline_ns);
	sched_switch(SCHED_BLOCK);
	preempt_count_dec();
	/* Woken by it, there is nothing to cancel: its callback has done its work. */
	if (timer_armed(&self->sleep_timer))
		timer_cancel(&self->sleep_timer);
	irq_restore(flags);
	sched_point();
}
