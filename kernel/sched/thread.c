/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/sched/thread.h"

#include <stdio.h>
#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/preempt.h"
#include "kernel/arch/switch.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmap.h"
#include "kernel/panic.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/sched_priv.h"
#include "kernel/sched/spinlock_irqoff.h"
#include "kernel/sched/thread_list.h"

#define STACK_DEFAULT KIB(16)
#define STACK_MAX     MIB(1)

static struct spinlock all_lock = SPINLOCK_INIT(LOCK_ORDER_THREADS);
static struct list_head all_threads = LIST_HEAD_INIT(all_threads);
static struct thread *reap_list; /* pushed by any CPU, taken whole */

static struct thread boot_thread;
static struct thread *ap_idle[CPU_MAX];

static void sleep_expired(struct timer *timer)
{
	thread_wake(container_of(timer, struct thread, sleep_timer));
}

static void thread_init(struct thread *t, const char *name)
{
	strlcpy(t->name, name, sizeof(t->name));
	t->pinned = -1;
	t->refs = 2;
	waitq_init(&t->joiners);
	list_init(&t->all);
	list_init(&t->ent.link);
	timer_init(&t->sleep_timer, sleep_expired);
}

void thread_publish(struct thread *t)
{
	uint64_t flags = spin_lock_irqsave(&all_lock);

	list_add_tail(&t->all, &all_threads);
	spin_unlock_irqrestore(&all_lock, flags);
}

static void thread_unpublish(struct thread *t)
{
	uint64_t flags = spin_lock_irqsave(&all_lock);

	list_del(&t->all);
	spin_unlock_irqrestore(&all_lock, flags);
}

void thread_init_static(struct thread *t, const char *name, unsigned int cpu, bool idle)
{
	thread_init(t, name);
	t->cpu = cpu;
	t->idle = idle;
	if (idle) {
		t->pinned = (int)cpu;
		t->ent.cls = THREAD_CLASS_NORMAL;
	}
}

static void thread_free(struct thread *t)
{
	if (t->stack_top)
		vmap_stack_destroy(t->stack_top);
	kfree(t);
}

static struct thread *thread_alloc(size_t stack)
{
	struct thread *t = kzalloc(sizeof(*t), MEM_THREAD);

	if (!t)
		return NULL;
	t->stack_top = vmap_stack_create(stack);
	if (!t->stack_top) {
		kfree(t);
		return NULL;
	}
	return t;
}

int thread_create(struct thread **out, const char *name, void (*fn)(void *arg), void *arg,
		  const struct thread_attr *attr)
{
	size_t stack = attr && attr->stack ? attr->stack : STACK_DEFAULT;
	struct thread *t;

	if (attr && (attr->cpu >= (int)cpu_count() || stack > STACK_MAX ||
		     !IS_ALIGNED(stack, PAGE_SIZE)))
		return -RAY_EINVAL;
	t = thread_alloc(stack);
	if (!t)
		return -RAY_ENOMEM;
	thread_init(t, name);
	t->fn = fn;
	t->arg = arg;
	t->ent.cls = THREAD_CLASS_WORKER;
	if (attr) {
		t->ent.cls = (uint8_t)attr->cls;
		t->pinned = attr->cpu;
		t->hooks = attr->hooks;
	}
	t->sp = switch_stack_prepare(t->stack_top);
	thread_publish(t);
	*out = t;
	sched_start_thread(t);
	return 0;
}

/* Drop one of the two references; the last one frees. */
static bool thread_put(struct thread *t)
{
	return __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) == 0;
}

void thread_join(struct thread *t)
{
	ASSERT(t != thread_current());
	(void)wait_event(&t->joiners, __atomic_load_n(&t->done, __ATOMIC_ACQUIRE), UINT64_MAX);
	/*
	 * The thread announces its end with interrupts off, on its way to the last switch: its
	 * own reference goes within microseconds.
	 */
	while (__atomic_load_n(&t->refs, __ATOMIC_ACQUIRE) != 1)
		cpu_relax();
	thread_free(t);
}

void thread_detach(struct thread *t)
{
	if (thread_put(t))
		thread_free(t);
}

void thread_exit(void)
{
	struct thread *t = thread_current();

	timer_cancel(&t->sleep_timer);
	thread_unpublish(t);
	irq_disable();
	ASSERT(preempt_count() == 0);
	preempt_count_inc();
	__atomic_store_n(&t->done, 1, __ATOMIC_RELEASE);
	waitq_wake_all(&t->joiners);
	sched_switch(SCHED_EXIT);
	panic("a dead thread came back");
}

void thread_reap_later(struct thread *t)
{
	if (!thread_put(t))
		return;
	t->reap_next = __atomic_load_n(&reap_list, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&reap_list, &t->reap_next, t, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	housekeeping_wake();
}

void thread_reap(void)
{
	struct thread *t = __atomic_exchange_n(&reap_list, NULL, __ATOMIC_ACQUIRE);

	while (t) {
		struct thread *next = t->reap_next;

		thread_free(t);
		t = next;
	}
}

struct thread *thread_current(void)
{
	return current_thread();
}

const char *thread_name(const struct thread *t)
{
	return t->name;
}

unsigned int thread_cpu(const struct thread *t)
{
	return __atomic_load_n(&t->cpu, __ATOMIC_RELAXED);
}

/* The queue lock of @t is held. */
static uint64_t runtime_locked(const struct thread *t, const struct runq *rq)
{
	uint64_t ticks = t->runtime_tsc, now = rdtsc();

	if (rq->running == t && now > t->started_tsc)
		ticks += now - t->started_tsc;
	return time_tsc_to_ns(ticks);
}

uint64_t thread_runtime(const struct thread *t)
{
	uint64_t flags = irq_save(), ns;
	struct runq *rq = sched_lock_thread(t);

	ns = runtime_locked(t, rq);
	spin_unlock_irqoff(&rq->lock);
	irq_restore(flags);
	return ns;
}

void thread_sleep_until(uint64_t deadline_ns)
{
	while (time_now() < deadline_ns)
		waitq_sleep(deadline_ns);
}

static void info_fill(struct thread_info *out, const struct thread *t)
{
	struct runq *rq = sched_lock_thread(t);

	memcpy(out->name, t->name, sizeof(out->name));
	out->cpu = t->cpu;
	out->pinned = t->pinned >= 0;
	out->cls = t->idle ? "idle" : t->ent.cls == THREAD_CLASS_WORKER ? "worker" : "normal";
	out->state = rq->running == t                ? "running"
		     : t->state == THREAD_RUNNABLE ? "ready"
						     : "asleep";
	out->runtime_ns = runtime_locked(t, rq);
	out->switches = t->switches;
	spin_unlock_irqoff(&rq->lock);
}

size_t thread_list(struct thread_info *out, size_t max)
{
	uint64_t flags = irq_save();
	struct thread *t;
	size_t n = 0;

	spin_lock(&all_lock);
	list_for_each_entry(t, &all_threads, all) {
		if (n < max)
			info_fill(&out[n], t);
		n++;
	}
	spin_unlock(&all_lock);
	irq_restore(flags);
	return n;
}

static void idle_main(void *arg)
{
	(void)arg;
	sched_idle_loop();
}

static struct thread *idle_create(unsigned int cpu)
{
	struct thread *t = thread_alloc(STACK_DEFAULT);
	char name[THREAD_NAME_MAX];

	if (!t)
		return NULL;
	snprintf(name, sizeof(name), "idle/%u", cpu);
	thread_init_static(t, name, cpu, true);
	t->fn = idle_main;
	t->sp = switch_stack_prepare(t->stack_top);
	return t;
}

void sched_init(void)
{
	struct thread *idle = idle_create(0);

	if (!idle)
		panic("no memory for the idle thread");
	thread_init_static(&boot_thread, "boot", 0, false);
	sched_cpu_init(0, &boot_thread, idle);
	thread_publish(&boot_thread);
	thread_publish(idle);
	housekeeping_start();
}

int sched_ap_prepare(unsigned int cpu, void **stack_top)
{
	struct thread *t = idle_create(cpu);

	if (!t)
		return -RAY_ENOMEM;
	ap_idle[cpu] = t;
	sched_cpu_init(cpu, t, t);
	thread_publish(t);
	*stack_top = t->stack_top;
	return 0;
}

void sched_ap_abandon(unsigned int cpu)
{
	struct thread *t = ap_idle[cpu];

	ap_idle[cpu] = NULL;
	thread_unpublish(t);
	thread_free(t);
}
