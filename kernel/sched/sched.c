/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/sched/sched.h"

#include "kernel/arch/cpu.h"
#include "kernel/arch/preempt.h"
#include "kernel/arch/switch.h"
#include "kernel/counter.h"
#include "kernel/irq/ipi.h"
#include "kernel/panic.h"
#include "kernel/sched/sched_priv.h"
#include "kernel/sched/spinlock_irqoff.h"

#define SLICE_NS       3000000ull /* of CPU time while others of the class wait */
#define WAKE_CREDIT_NS 3000000ull /* a sleeper's advantage over those who did not sleep */
#define WAKE_GRAN_NS   1000000ull /* smaller advantages do not interrupt who runs */
#define PUSH_EVERY     4u         /* slices between looks at the other CPUs */

COUNTER(switches, "sched.switches", "thread switches");
COUNTER(slices, "sched.slices", "time slices used up");
COUNTER(resched_ipis, "sched.ipis", "interrupts sent because of a wake-up");

static struct runq runqs[CPU_MAX];
static uint64_t slice_tsc, gran_tsc;
uint64_t sched_credit_tsc;

struct runq *sched_runq(unsigned int cpu)
{
	return &runqs[cpu];
}

struct runq *sched_lock_thread(const struct thread *t)
{
	for (;;) {
		uint32_t cpu = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);
		struct runq *rq = &runqs[cpu];

		spin_lock_irqoff(&rq->lock);
		if (likely(t->cpu == cpu))
			return rq;
		spin_unlock_irqoff(&rq->lock);
	}
}

/* Where a thread that was asleep goes on: where its cache is, if not at others' expense. */
static unsigned int place_woken(const struct thread *t)
{
	int cpu;

	if (t->pinned >= 0)
		return (unsigned int)t->pinned;
	if (idle_claim(t->cpu))
		return t->cpu;
	cpu = idle_claim_any(sched_allowed(t->ent.cls));
	return cpu >= 0 ? (unsigned int)cpu : t->cpu;
}

/*
 * Own CPU, @rq locked: a waker who sees the slice armed relies on it, so no cancellation may
 * follow that did not know of the thread it has queued.
 */
static void slice_update(struct runq *rq, bool restart)
{
	const struct thread *t = rq->running;
	bool need = t != rq->idle && runq_order_waiting(&rq->order, t->ent.cls);

	if (!need) {
		if (rq->slice_armed)
			timer_cancel(&rq->slice);
		rq->slice_armed = false;
	} else if (!rq->slice_armed || restart) {
		timer_set_tsc(&rq->slice, rdtsc() + slice_tsc);
		rq->slice_armed = true;
	}
}

static bool preempts(const struct thread *t, const struct thread *running)
{
	uint64_t now = rdtsc(), used = running->ent.vruntime;

	/* Another CPU's clock may be a little ahead of ours. */
	if (now > running->started_tsc)
		used += now - running->started_tsc;
	return runq_order_preempts(&t->ent, running->ent.cls, used, gran_tsc);
}

/* @t has just been queued on @rq, which is locked: should that CPU take notice? */
static void notify(struct runq *rq, const struct thread *t)
{
	struct thread *running = rq->running;
	unsigned int id = t->cpu;
	struct cpu *c = cpu_get(id);

	if (running == rq->idle || preempts(t, running))
		c->need_resched = 1;
	else if (rq->slice_armed || t->ent.cls != running->ent.cls)
		return; /* its turn comes by itself */
	if (c != this_cpu()) {
		counter_inc(resched_ipis);
		ipi_resched(id);
	} else if (!c->need_resched) {
		slice_update(rq, false);
	}
}

void sched_enqueue_on(struct thread *t, unsigned int cpu, uint64_t credit)
{
	struct runq *rq = &runqs[cpu];

	spin_lock_irqoff(&rq->lock);
	runq_order_add(&rq->order, &t->ent, credit);
	notify(rq, t);
	spin_unlock_irqoff(&rq->lock);
}

/* @t, which is blocked, becomes runnable. @rq is its queue, locked; unlocked on return. */
static __noinline void wake_blocked(struct thread *t, struct runq *rq)
{
	unsigned int cpu;

	t->state = THREAD_RUNNABLE;
	/* While the switch away from it goes on, only the CPU that does it may run it next. */
	cpu = __atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE) ? t->cpu : place_woken(t);
	if (cpu != t->cpu) {
		runq_order_move(&t->ent, &rq->order, &runqs[cpu].order);
		__atomic_store_n(&t->cpu, cpu, __ATOMIC_RELEASE);
		spin_unlock_irqoff(&rq->lock);
		sched_enqueue_on(t, cpu, sched_credit_tsc);
		return;
	}
	runq_order_add(&rq->order, &t->ent, sched_credit_tsc);
	notify(rq, t);
	spin_unlock_irqoff(&rq->lock);
}

/* Its CPU waits on the stack of @t, which is blocked: nothing else runs there. @rq is locked. */
static inline void wake_in_place(struct thread *t, struct runq *rq)
{
	struct cpu *c = cpu_get(t->cpu);

	t->state = THREAD_RUNNABLE;
	rq->resume = t;
	c->need_resched = 1;
	if (c != this_cpu()) {
		counter_inc(resched_ipis);
		ipi_resched(t->cpu);
	}
}

void sched_wake(struct thread *t)
{
	struct runq *rq = sched_lock_thread(t);

	if (unlikely(t->state != THREAD_BLOCKED)) {
		t->token = true;
	} else if (likely(t->on_cpu) && likely(rq->running == rq->idle)) {
		wake_in_place(t, rq);
	} else {
		wake_blocked(t, rq);
		return;
	}
	spin_unlock_irqoff(&rq->lock);
}

void thread_wake(struct thread *t)
{
	uint64_t flags;

	preempt_count_inc();
	flags = irq_save();
	sched_wake(t);
	irq_restore(flags);
	preempt_enable();
}

void sched_start_thread(struct thread *t)
{
	uint64_t flags;
	unsigned int cpu;

	preempt_count_inc();
	flags = irq_save();
	cpu = t->pinned >= 0 ? (unsigned int)t->pinned :
			       sched_least_busy(this_cpu()->id, sched_allowed(t->ent.cls));
	t->cpu = cpu;
	t->ent.vruntime = runqs[cpu].order.min_vruntime[t->ent.cls];
	sched_enqueue_on(t, cpu, 0);
	irq_restore(flags);
	preempt_enable();
}

static void slice_expired(struct timer *timer)
{
	struct runq *rq = container_of(timer, struct runq, slice);
	struct cpu *c = this_cpu();

	rq->slice_armed = false;
	counter_inc(slices);
	if (++rq->slices % PUSH_EVERY == 0)
		sched_push(rq, c->id);
	c->need_resched = 1;
}

static void account(struct thread *t, uint64_t now)
{
	uint64_t used = now - t->started_tsc;

	t->runtime_tsc += used;
	t->ent.vruntime += used;
	t->started_tsc = now;
}

/* On the new stack, IRQs off: @prev is out of the way now. */
static void switch_finish(struct thread *prev)
{
	struct thread *self = current_thread();
	bool dead = prev->state == THREAD_DEAD;

	/* Another CPU may run or free it from here on. */
	__atomic_store_n(&prev->on_cpu, 0, __ATOMIC_RELEASE);
	if (dead)
		thread_reap_later(prev);
	if (self->hooks && self->hooks->sched_in)
		self->hooks->sched_in(self, self->hooks->arg);
}

static void switch_to(struct thread *prev, struct thread *next)
{
	if (prev->hooks && prev->hooks->sched_out)
		prev->hooks->sched_out(prev, prev->hooks->arg);
	counter_inc(switches);
	next->switches++;
	this_cpu()->current = next;
	switch_finish(switch_stack(prev, &prev->sp, next->sp));
}

/* Who is next on this CPU, perhaps after a look at the others. @rq is locked, also on return. */
static struct runq_entity *pick(struct runq *rq, struct cpu *c)
{
	struct runq_entity *first = runq_order_first(&rq->order);

	if (first || cpu_count() == 1)
		return first;
	spin_unlock_irqoff(&rq->lock);
	sched_pull(rq, c->id);
	spin_lock_irqoff(&rq->lock);
	c->need_resched = 0;
	return runq_order_first(&rq->order);
}

/* The thread that was woken in place, if it is to run before all that are queued. */
static struct runq_entity *resumed(struct runq *rq)
{
	struct thread *t = rq->resume;

	if (!t)
		return NULL;
	rq->resume = NULL;
	runq_order_credit(&rq->order, &t->ent, sched_credit_tsc);
	if (likely(rq->order.count == 0))
		return &t->ent;
	runq_order_add(&rq->order, &t->ent, sched_credit_tsc);
	return NULL;
}

/*
 * Who is next on a CPU that waits in place, taken off the queue. @rq is locked, also on return;
 * but not while pick() looks at the others, and the thread that waits may be woken then.
 */
static struct runq_entity *pick_waiting(struct runq *rq, struct cpu *c)
{
	struct runq_entity *e;

	do {
		e = resumed(rq);
		if (e)
			return e;
		e = pick(rq, c);
	} while (unlikely(rq->resume));
	if (e)
		runq_order_remove(&rq->order, e);
	return e;
}

/*
 * The running thread has blocked and there is no other: wait on its stack. @rq is locked, also
 * on return. Returns: who is next, taken off the queue.
 */
static struct runq_entity *wait_in_place(struct runq *rq, struct cpu *c)
{
	struct runq_entity *e;

	rq->running = rq->idle;
	rq->idle->started_tsc = rdtsc();
	slice_update(rq, false);
	spin_unlock_irqoff(&rq->lock);
	for (;;) {
		idle_wait();
		spin_lock_irqoff(&rq->lock);
		c->need_resched = 0;
		e = pick_waiting(rq, c);
		if (e)
			break;
		spin_unlock_irqoff(&rq->lock);
	}
	account(rq->idle, rdtsc());
	return e;
}

/* Note why @prev stops. False: it does not, a wake-up was faster. @rq is locked. */
static bool stop(struct runq *rq, struct thread *prev, enum sched_why why)
{
	if (why == SCHED_BLOCK && prev->token) {
		prev->token = false;
		return false;
	}
	if (why == SCHED_BLOCK)
		prev->state = THREAD_BLOCKED;
	else if (why == SCHED_EXIT)
		prev->state = THREAD_DEAD;
	else if (!prev->idle)
		runq_order_add(&rq->order, &prev->ent, UINT64_MAX);
	return true;
}

void sched_switch(enum sched_why why)
{
	struct cpu *c = this_cpu();
	struct runq *rq = &runqs[c->id];
	struct thread *prev = c->current, *next = rq->idle;
	struct runq_entity *e;

	spin_lock_irqoff(&rq->lock);
	account(prev, rdtsc());
	/* Who goes on leaves the wish of another to run as it is. */
	if (!stop(rq, prev, why)) {
		spin_unlock_irqoff(&rq->lock);
		return;
	}
	c->need_resched = 0;
	e = pick(rq, c);
	if (e)
		runq_order_remove(&rq->order, e);
	else if (why == SCHED_BLOCK)
		e = wait_in_place(rq, c);
	if (e) {
		next = container_of(e, struct thread, ent);
		runq_order_started(&rq->order, e);
	}
	rq->running = next;
	next->started_tsc = rdtsc();
	next->on_cpu = 1;
	slice_update(rq, next != prev);
	spin_unlock_irqoff(&rq->lock);
	if (next != prev)
		switch_to(prev, next);
}

void thread_begin(struct thread *prev)
{
	struct thread *self;

	switch_finish(prev);
	preempt_count_dec();
	irq_enable();
	sched_point(); /* something may have been woken during the switch */
	self = current_thread();
	self->fn(self->arg);
	thread_exit();
}

static void resched(void)
{
	uint64_t flags = irq_save();

	while (need_resched()) {
		preempt_count_inc();
		sched_switch(SCHED_PREEMPT);
		preempt_count_dec();
	}
	irq_restore(flags);
}

void preempt_disable(void)
{
	preempt_count_inc();
}

void preempt_enable(void)
{
	if (!preempt_count_dec() || likely(!need_resched()))
		return;
	if (irq_enabled())
		resched();
	else if (this_cpu()->irq_depth == 0)
		ipi_resched(this_cpu()->id); /* comes when interrupts are on again */
	/* else the end of the interrupt handler sees to it */
}

void sched_point(void)
{
	if (need_resched() && preempt_count() == 0)
		resched();
}

void sched_irq_exit(bool irqs_were_on)
{
	struct cpu *c = this_cpu();
	struct runq *rq = &runqs[c->id];

	if (!c->need_resched || !irqs_were_on || c->preempt_count != 0 || !rq->running)
		return;
	do {
		preempt_count_inc();
		sched_switch(SCHED_PREEMPT);
		preempt_count_dec();
	} while (need_resched());
}

void sched_ipi(void)
{
	struct runq *rq = &runqs[this_cpu()->id];

	/* Sent also when who runs has got company: from now on it has a time slice. */
	if (!rq->running || this_cpu()->need_resched)
		return;
	spin_lock_irqoff(&rq->lock);
	slice_update(rq, false);
	spin_unlock_irqoff(&rq->lock);
}

void thread_yield(void)
{
	uint64_t flags = irq_save();
	struct runq *rq;
	struct runq_entity *first;
	struct thread *self = current_thread();

	ASSERT(preempt_count() == 0);
	preempt_count_inc();
	rq = &runqs[this_cpu()->id];
	spin_lock_irqoff(&rq->lock);
	first = runq_order_first(&rq->order);
	/* Line up behind the next one. */
	if (first && first->cls == self->ent.cls && first->vruntime >= self->ent.vruntime)
		self->ent.vruntime = first->vruntime + 1;
	spin_unlock_irqoff(&rq->lock);
	if (first)
		sched_switch(SCHED_PREEMPT);
	preempt_count_dec();
	irq_restore(flags);
	sched_point();
}

void sched_cpu_init(unsigned int cpu, struct thread *running, struct thread *idle)
{
	struct runq *rq = &runqs[cpu];

	spin_lock_init(&rq->lock, LOCK_ORDER_RUNQ);
	runq_order_init(&rq->order);
	timer_init(&rq->slice, slice_expired);
	rq->idle = idle;
	running->on_cpu = 1;
	running->started_tsc = rdtsc();
	rq->running = running;
	cpu_get(cpu)->current = running;
	if (cpu != 0)
		return;
	slice_tsc = time_ns_to_tsc(SLICE_NS);
	sched_credit_tsc = time_ns_to_tsc(WAKE_CREDIT_NS);
	gran_tsc = time_ns_to_tsc(WAKE_GRAN_NS);
}
