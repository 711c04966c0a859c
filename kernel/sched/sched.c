/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/sched/sched.h"

#include "kernel/arch/cpu.h"
#include "kernel/arch/preempt.h"
#include "kernel/arch/switch.h"
#include "kernel/counter.h"
#include "kernel/irq/ipi.h"
#include "kernel/mm/page.h"
#include "kernel/panic.h"
#include "kernel/sched/sched_priv.h"
#include "kernel/sched/spinlock_irqoff.h"

#define SLICE_NS       3000000ull /* of CPU time while others of the class wait */
#define WAKE_CREDIT_NS 3000000ull /* a sleeper's advantage over those who did not sleep */
#define WAKE_GRAN_NS   1000000ull /* smaller advantages do not interrupt who runs */
#define PUSH_EVERY     4u         /* slices between looks at the other CPUs */

COUNTER(switches, "sched.switches", "thread switches");
COUNTER(slices, "sched.slices", "time slices used up");
COUNTER(pulls, "sched.pulls", "threads taken over by an idle CPU");
COUNTER(pushes, "sched.pushes", "threads given away by a busy CPU");
COUNTER(resched_ipis, "sched.ipis", "interrupts sent because of a wake-up");

static struct runq runqs[CPU_MAX];
static uint64_t idle_mask; /* CPUs in their idle loop, not yet claimed by a waker */
static uint64_t slice_tsc, credit_tsc, gran_tsc;

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

static unsigned int runq_load(const struct runq *rq)
{
	return __atomic_load_n(&rq->order.count, __ATOMIC_RELAXED) +
	       (__atomic_load_n(&rq->running, __ATOMIC_RELAXED) != rq->idle);
}

/* The idle CPU of this number, if nobody else has claimed it since it fell idle. */
static bool idle_claim(unsigned int cpu)
{
	return (__atomic_fetch_and(&idle_mask, ~BIT(cpu), __ATOMIC_ACQ_REL) & BIT(cpu)) != 0;
}

/* Where a thread that was asleep goes on: where its cache is, if not at others' expense. */
static unsigned int place_woken(const struct thread *t)
{
	uint64_t idle;

	if (t->pinned >= 0)
		return (unsigned int)t->pinned;
	if (idle_claim(t->cpu))
		return t->cpu;
	while ((idle = __atomic_load_n(&idle_mask, __ATOMIC_ACQUIRE)) != 0) {
		unsigned int cpu = (unsigned int)__builtin_ctzll(idle);

		if (idle_claim(cpu))
			return cpu;
	}
	return t->cpu;
}

static unsigned int least_busy(unsigned int from)
{
	unsigned int count = cpu_count(), best = from;

	for (unsigned int i = 1; i < count; i++) {
		unsigned int cpu = (from + i) % count;

		if (runq_load(&runqs[cpu]) < runq_load(&runqs[best]))
			best = cpu;
	}
	return best;
}

/* Own CPU, IRQs off, run-queue lock not held. */
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

/* Put a runnable thread that is on no queue on that of @cpu. IRQs off, no lock held. */
static void enqueue_on(struct thread *t, unsigned int cpu, uint64_t credit)
{
	struct runq *rq = &runqs[cpu];

	spin_lock_irqoff(&rq->lock);
	runq_order_add(&rq->order, &t->ent, credit);
	notify(rq, t);
	spin_unlock_irqoff(&rq->lock);
}

void thread_wake(struct thread *t)
{
	struct runq *rq;
	uint64_t flags;
	unsigned int cpu;

	preempt_count_inc();
	flags = irq_save();
	rq = sched_lock_thread(t);
	if (t->state != THREAD_BLOCKED) {
		t->token = true;
		spin_unlock_irqoff(&rq->lock);
		goto out;
	}
	t->state = THREAD_RUNNABLE;
	/* While the switch away from it goes on, only the CPU that does it may run it next. */
	cpu = __atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE) ? t->cpu : place_woken(t);
	if (cpu != t->cpu) {
		runq_order_move(&t->ent, &rq->order, &runqs[cpu].order);
		__atomic_store_n(&t->cpu, cpu, __ATOMIC_RELEASE);
		spin_unlock_irqoff(&rq->lock);
		enqueue_on(t, cpu, credit_tsc);
	} else {
		runq_order_add(&rq->order, &t->ent, credit_tsc);
		notify(rq, t);
		spin_unlock_irqoff(&rq->lock);
	}
out:
	irq_restore(flags);
	preempt_enable();
}

void sched_start_thread(struct thread *t)
{
	uint64_t flags;
	unsigned int cpu;

	preempt_count_inc();
	flags = irq_save();
	cpu = t->pinned >= 0 ? (unsigned int)t->pinned : least_busy(this_cpu()->id);
	t->cpu = cpu;
	t->ent.vruntime = runqs[cpu].order.min_vruntime[t->ent.cls];
	enqueue_on(t, cpu, 0);
	irq_restore(flags);
	preempt_enable();
}

/* A thread that another CPU may take over. @rq is locked. */
static struct thread *find_movable(struct runq *rq)
{
	struct runq_entity *e;

	list_for_each_entry(e, &rq->order.queued, link) {
		struct thread *t = container_of(e, struct thread, ent);

		if (t->pinned < 0 && !__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE))
			return t;
	}
	return NULL;
}

/* Take a waiting thread from @from for @to; it is on no queue then. IRQs off, no lock. */
static struct thread *steal(struct runq *from, unsigned int to)
{
	struct thread *t;

	spin_lock_irqoff(&from->lock);
	t = find_movable(from);
	if (t) {
		runq_order_remove(&from->order, &t->ent);
		runq_order_move(&t->ent, &from->order, &runqs[to].order);
		__atomic_store_n(&t->cpu, to, __ATOMIC_RELEASE);
	}
	spin_unlock_irqoff(&from->lock);
	return t;
}

/* This CPU has nothing to run: help the busiest. IRQs off, no lock. */
static void pull(struct runq *rq, unsigned int id)
{
	unsigned int count = cpu_count(), most = 0, busiest = 0;
	struct thread *t;

	for (unsigned int i = 0; i < count; i++) {
		unsigned int n = __atomic_load_n(&runqs[i].order.count, __ATOMIC_RELAXED);

		if (i != id && n > most) {
			most = n;
			busiest = i;
		}
	}
	if (most == 0)
		return;
	t = steal(&runqs[busiest], id);
	if (!t)
		return;
	spin_lock_irqoff(&rq->lock);
	runq_order_add(&rq->order, &t->ent, credit_tsc);
	counter_inc(pulls);
	spin_unlock_irqoff(&rq->lock);
}

/* Threads wait here. Give one to a CPU that has at least two fewer. IRQs off, no lock. */
static void push(struct runq *rq, unsigned int id)
{
	unsigned int to = least_busy(id);
	struct thread *t;

	if (runq_load(&runqs[to]) + 2 > runq_load(rq))
		return;
	t = steal(rq, to);
	if (!t)
		return;
	counter_inc(pushes);
	idle_claim(to);
	enqueue_on(t, to, credit_tsc);
}

static void slice_expired(struct timer *timer)
{
	struct runq *rq = container_of(timer, struct runq, slice);
	struct cpu *c = this_cpu();

	rq->slice_armed = false;
	counter_inc(slices);
	if (++rq->slices % PUSH_EVERY == 0)
		push(rq, c->id);
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

void sched_switch(enum sched_why why)
{
	struct cpu *c = this_cpu();
	struct runq *rq = &runqs[c->id];
	struct thread *prev = c->current, *next;
	struct runq_entity *first;
	uint64_t now;

	spin_lock_irqoff(&rq->lock);
	c->need_resched = 0;
	now = rdtsc();
	account(prev, now);
	if (why == SCHED_BLOCK && prev->token) {
		prev->token = false;
		spin_unlock_irqoff(&rq->lock);
		return;
	}
	if (why == SCHED_BLOCK)
		prev->state = THREAD_BLOCKED;
	else if (why == SCHED_EXIT)
		prev->state = THREAD_DEAD;
	else if (!prev->idle)
		runq_order_add(&rq->order, &prev->ent, UINT64_MAX);
	first = runq_order_first(&rq->order);
	if (!first && cpu_count() > 1) {
		spin_unlock_irqoff(&rq->lock);
		pull(rq, c->id);
		spin_lock_irqoff(&rq->lock);
		c->need_resched = 0;
		first = runq_order_first(&rq->order);
	}
	next = rq->idle;
	if (first) {
		next = container_of(first, struct thread, ent);
		runq_order_remove(&rq->order, first);
		runq_order_started(&rq->order, first);
	}
	rq->running = next;
	next->started_tsc = now;
	next->on_cpu = 1;
	spin_unlock_irqoff(&rq->lock);
	slice_update(rq, next != prev);
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
	if (rq->running && !this_cpu()->need_resched)
		slice_update(rq, false);
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

void sched_idle_loop(void)
{
	uint64_t bit = BIT(this_cpu()->id);

	for (;;) {
		irq_disable();
		if (need_resched()) {
			irq_enable();
			sched_point();
			continue;
		}
		__atomic_fetch_or(&idle_mask, bit, __ATOMIC_SEQ_CST);
		/* Housework in steps that delay no interrupt; sleep when there is none. */
		if (page_scrub_step())
			irq_enable();
		else
			cpu_idle_wait();
		__atomic_fetch_and(&idle_mask, ~bit, __ATOMIC_RELAXED);
	}
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
	credit_tsc = time_ns_to_tsc(WAKE_CREDIT_NS);
	gran_tsc = time_ns_to_tsc(WAKE_GRAN_NS);
}
