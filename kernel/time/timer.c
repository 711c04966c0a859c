/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/cpu.h"
#include "kernel/arch/lapic.h"
#include "kernel/arch/percpu.h"
#include "kernel/counter.h"
#include "kernel/sched/spinlock_irqoff.h"
#include "kernel/time/time.h"

COUNTER(fired, "timer.fired", "timers that came due");
COUNTER(early, "timer.empty", "timer interrupts with nothing due");

struct timer_queue {
	struct spinlock lock;
	struct pheap heap;
	struct timer *running; /* its callback is being called */
} __cacheline;

static struct timer_queue queues[CPU_MAX] = {
	[0 ... CPU_MAX - 1] = { .lock = SPINLOCK_INIT(LOCK_ORDER_TIMER) },
};

static inline struct timer *first(const struct timer_queue *q)
{
	struct pheap_node *n = pheap_min(&q->heap);

	return n ? container_of(n, struct timer, node) : NULL;
}

/* Own CPU, queue locked: the earliest deadline has become another one. */
static void program(const struct timer_queue *q)
{
	const struct timer *t = first(q);

	if (t)
		lapic_timer_arm(t->deadline_tsc);
	else
		lapic_timer_disarm();
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	*t = (struct timer){ .fn = fn };
}

/* Lock the queue the timer is on, or was on last. IRQs off. */
static struct timer_queue *lock_queue(const struct timer *t)
{
	for (;;) {
		uint32_t cpu = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);
		struct timer_queue *q = &queues[cpu];

		spin_lock_irqoff(&q->lock);
		if (likely(__atomic_load_n(&t->cpu, __ATOMIC_RELAXED) == cpu))
			return q;
		spin_unlock_irqoff(&q->lock);
	}
}

/* Queue locked. */
static void take_out(struct timer_queue *q, struct timer *t)
{
	pheap_remove(&q->heap, &t->node);
	__atomic_store_n(&t->armed, 0, __ATOMIC_RELAXED);
}

/* Put the timer on the calling CPU's queue, which is locked then. IRQs off. */
static struct timer_queue *lock_own_queue(struct timer *t, uint32_t id)
{
	struct timer_queue *q = &queues[id];

	for (;;) {
		if (__atomic_load_n(&t->cpu, __ATOMIC_RELAXED) != id) {
			struct timer_queue *old = lock_queue(t);

			/* The other CPU finds nothing due when its hardware fires. */
			if (t->armed)
				take_out(old, t);
			__atomic_store_n(&t->cpu, id, __ATOMIC_RELEASE);
			spin_unlock_irqoff(&old->lock);
		}
		spin_lock_irqoff(&q->lock);
		/* Its callback and its owner may set it at once, each on a CPU of its own. */
		if (likely(__atomic_load_n(&t->cpu, __ATOMIC_RELAXED) == id))
			return q;
		spin_unlock_irqoff(&q->lock);
	}
}

/* Whether another CPU than @id is in the timer's callback. The queue it is on is locked. */
static inline bool runs_elsewhere(const struct timer *t, uint32_t id)
{
	return t->ran_on != id &&
	       __atomic_load_n(&queues[t->ran_on].running, __ATOMIC_ACQUIRE) == t;
}

void timer_set_tsc(struct timer *t, uint64_t deadline_tsc)
{
	uint64_t flags = irq_save();
	uint32_t id = this_cpu()->id;
	struct timer_queue *q = lock_own_queue(t, id);
	struct timer *before;

	before = first(q);
	t->deadline_tsc = deadline_tsc;
	if (t->armed)
		pheap_update(&q->heap, &t->node, deadline_tsc);
	else
		pheap_insert(&q->heap, &t->node, deadline_tsc);
	__atomic_store_n(&t->armed, 1, __ATOMIC_RELAXED);
	/* A callback's doing is programmed once, when all that is due has run. */
	if ((before == t || first(q) == t) && !q->running)
		program(q);
	spin_unlock_irqoff(&q->lock);
	irq_restore(flags);
}

void timer_set_ns(struct timer *t, uint64_t deadline_ns)
{
	uint64_t tsc = deadline_ns == UINT64_MAX ? UINT64_MAX : time_ns_to_tsc(deadline_ns);

	if (tsc == UINT64_MAX)
		timer_cancel(t);
	else
		timer_set_tsc(t, tsc);
}

void timer_cancel(struct timer *t)
{
	uint64_t flags = irq_save();
	uint32_t id = this_cpu()->id;
	struct timer_queue *q = lock_queue(t);

	for (;;) {
		if (t->armed) {
			bool was_first = first(q) == t;

			take_out(q, t);
			if (was_first && q == &queues[id] && !q->running)
				program(q);
		}
		/* On this CPU, with interrupts off, a running callback can only be the caller. */
		if (likely(!runs_elsewhere(t, id)))
			break;
		/* It may arm itself again meanwhile, wherever its last setter has moved it. */
		spin_unlock_irqoff(&q->lock);
		cpu_relax();
		q = lock_queue(t);
	}
	spin_unlock_irqoff(&q->lock);
	irq_restore(flags);
}

uint64_t timer_next_tsc(void)
{
	const struct timer *t = first(&queues[this_cpu()->id]);

	return t ? t->deadline_tsc : UINT64_MAX;
}

void timer_interrupt(void)
{
	uint32_t id = this_cpu()->id;
	struct timer_queue *q = &queues[id];
	struct timer *t;
	bool any = false;

	spin_lock_irqoff(&q->lock);
	while ((t = first(q)) != NULL && t->deadline_tsc <= rdtsc()) {
		/* Set anew while another CPU is still in its callback: one at a time. */
		if (unlikely(runs_elsewhere(t, id))) {
			spin_unlock_irqoff(&q->lock);
			cpu_relax();
			spin_lock_irqoff(&q->lock);
			continue;
		}
		take_out(q, t);
		t->ran_on = id;
		q->running = t;
		counter_inc(fired);
		any = true;
		spin_unlock_irqoff(&q->lock);
		t->fn(t);
		spin_lock_irqoff(&q->lock);
		__atomic_store_n(&q->running, NULL, __ATOMIC_RELEASE);
	}
	/* It fired early, or for another timer; without one it stays silent by itself. */
	if (t)
		program(q);
	if (!any)
		counter_inc(early);
	spin_unlock_irqoff(&q->lock);
}
