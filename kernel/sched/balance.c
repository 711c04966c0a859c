/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which CPU a thread runs on, once it waits: idle CPUs take over, busy ones give away.
 * Context everywhere: IRQs off, no run-queue lock.
 */
#include "kernel/counter.h"
#include "kernel/sched/sched_priv.h"
#include "kernel/sched/spinlock_irqoff.h"

COUNTER(pulls, "sched.pulls", "threads taken over by an idle CPU");
COUNTER(pushes, "sched.pushes", "threads given away by a busy CPU");

uint64_t sched_spared;

void thread_cpu_spare(unsigned int cpu)
{
	sched_spared |= BIT(cpu);
}

uint64_t thread_cpus(enum thread_class cls)
{
	unsigned int count = cpu_count();
	uint64_t all = count == 64 ? UINT64_MAX : BIT(count) - 1;

	return all & sched_allowed((uint8_t)cls);
}

static unsigned int runq_load(const struct runq *rq)
{
	return __atomic_load_n(&rq->order.count, __ATOMIC_RELAXED) +
	       (__atomic_load_n(&rq->running, __ATOMIC_RELAXED) != rq->idle);
}

unsigned int sched_least_busy(unsigned int from, uint64_t allowed)
{
	unsigned int count = cpu_count(), best = from, least = UINT32_MAX;

	for (unsigned int i = 0; i < count; i++) {
		unsigned int cpu = (from + i) % count, load = runq_load(sched_runq(cpu));

		if ((allowed & BIT(cpu)) && load < least) {
			best = cpu;
			least = load;
		}
	}
	return best;
}

/* A thread that CPU @to may take over. @rq is locked. */
static struct thread *find_movable(struct runq *rq, unsigned int to)
{
	struct runq_entity *e;

	list_for_each_entry(e, &rq->order.queued, link) {
		struct thread *t = container_of(e, struct thread, ent);

		if (t->pinned < 0 && (sched_allowed(t->ent.cls) & BIT(to)) &&
		    !__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE))
			return t;
	}
	return NULL;
}

/* Take a waiting thread from @from for @to; it is on no queue then. IRQs off, no lock. */
static struct thread *steal(struct runq *from, unsigned int to)
{
	struct thread *t;

	spin_lock_irqoff(&from->lock);
	t = find_movable(from, to);
	if (t) {
		runq_order_remove(&from->order, &t->ent);
		runq_order_move(&t->ent, &from->order, &sched_runq(to)->order);
		__atomic_store_n(&t->cpu, to, __ATOMIC_RELEASE);
	}
	spin_unlock_irqoff(&from->lock);
	return t;
}

/* This CPU has nothing to run: help the busiest. IRQs off, no lock. */
void sched_pull(struct runq *rq, unsigned int id)
{
	unsigned int count = cpu_count(), most = 0, busiest = 0;
	struct thread *t;

	for (unsigned int i = 0; i < count; i++) {
		unsigned int n = __atomic_load_n(&sched_runq(i)->order.count, __ATOMIC_RELAXED);

		if (i != id && n > most) {
			most = n;
			busiest = i;
		}
	}
	if (most == 0)
		return;
	t = steal(sched_runq(busiest), id);
	if (!t)
		return;
	spin_lock_irqoff(&rq->lock);
	runq_order_add(&rq->order, &t->ent, sched_credit_tsc);
	counter_inc(pulls);
	spin_unlock_irqoff(&rq->lock);
}

/* Threads wait here. Give one to a CPU that has at least two fewer. IRQs off, no lock. */
void sched_push(struct runq *rq, unsigned int id)
{
	/* Whoever it is may run there; a spared CPU that falls idle takes workers by itself. */
	unsigned int to = sched_least_busy(id, sched_allowed(THREAD_CLASS_NORMAL));
	struct thread *t;

	if (runq_load(sched_runq(to)) + 2 > runq_load(rq))
		return;
	t = steal(rq, to);
	if (!t)
		return;
	counter_inc(pushes);
	idle_claim(to);
	sched_enqueue_on(t, to, sched_credit_tsc);
}

