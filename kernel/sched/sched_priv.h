/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of kernel/sched share: struct thread, the run queues, and how threads stop.
 * Locking: a thread's state, token and run-queue membership belong to the lock of the run
 * queue of t->cpu; see sched_lock_thread().
 *
 * on_cpu is set while a CPU still uses the thread's stack. It outlives the state: a thread
 * that has just blocked is on_cpu until the switch away from it is complete, and no other
 * CPU may run it before. A CPU that finds nothing to run after a thread has blocked does not
 * switch at all: it waits on that thread's stack, and what the thread's hooks have loaded
 * stays. If the thread is woken first, it goes on at once; else the switch happens then.
 */
#ifndef RAYOS_KERNEL_SCHED_SCHED_PRIV_H
#define RAYOS_KERNEL_SCHED_SCHED_PRIV_H

#include "kernel/arch/percpu.h"
#include "kernel/sched/lockcheck.h"
#include "kernel/sched/runq.h"
#include "kernel/sched/spinlock.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"
#include "kernel/time/time.h"

#define THREAD_NAME_MAX 32u

enum thread_state {
	THREAD_RUNNABLE, /* queued, running, or between two queues */
	THREAD_BLOCKED,
	THREAD_DEAD,
};

struct thread {
	struct runq_entity ent;
	uint64_t sp;             /* while it does not run */
	enum thread_state state;
	uint32_t cpu;            /* whose run queue it belongs to */
	uint32_t on_cpu;         /* see above; released with a store */
	bool token;              /* woken before it slept: the next sleep returns at once */
	bool idle;
	int pinned;              /* CPU, or -1 */
	const struct thread_hooks *hooks;
	uint64_t started_tsc;    /* when it last got the CPU */
	uint64_t runtime_tsc;    /* up to then */
	uint64_t switches;
	struct timer sleep_timer;

	uint32_t refs;           /* the running thread itself, and its creator */
	uint32_t done;
	struct waitq joiners;
	void (*fn)(void *arg);
	void *arg;
	void *stack_top;         /* NULL: not from vmap_stack_create() */
	struct list_head all;    /* on the list of live threads */
	struct thread *reap_next;
	char name[THREAD_NAME_MAX];
#ifdef RAYOS_DEBUG
	struct lockcheck mutexes;
#endif
};

struct runq {
	struct spinlock lock;
	struct runq_order order;
	struct thread *running;  /* idle also while a blocked thread's stack serves to wait on */
	struct thread *idle;
	struct thread *resume;   /* such a thread, woken: on no queue, the CPU goes on with it */
	struct timer slice;
	bool slice_armed;        /* changed by its own CPU only, locked but for the expiry */
	uint32_t slices;         /* own CPU only */
} __cacheline;

/* Why a thread calls the scheduler. */
enum sched_why {
	SCHED_PREEMPT, /* stays runnable */
	SCHED_BLOCK,   /* until thread_wake(), unless a token is there */
	SCHED_EXIT,
};

/** Choose and switch. Context: IRQs off, preempt count exactly 1, no locks. */
void sched_switch(enum sched_why why);

struct runq *sched_runq(unsigned int cpu);
/** What a woken thread is ahead of those that did not sleep, TSC ticks. */
extern uint64_t sched_credit_tsc;
/** Put a runnable thread that is on no queue on that of @cpu. Context: IRQs off, no lock. */
void sched_enqueue_on(struct thread *t, unsigned int cpu, uint64_t credit);

/** Lock the run queue @t belongs to, by spin_lock_irqoff(). Context: IRQs off. Returns: it. */
struct runq *sched_lock_thread(const struct thread *t);

/** thread_wake(). Context: IRQs off, preempt count raised. */
void sched_wake(struct thread *t);

/** Queue a new thread on the CPU it is pinned to or the least busy. */
void sched_start_thread(struct thread *t);

/* balance.c */
extern uint64_t sched_spared; /* CPUs that are kept for workers; changes during init only */
/** CPUs, a bit each, that a thread of that class may go to by itself; also bits of none. */
static inline uint64_t sched_allowed(uint8_t cls)
{
	return cls == THREAD_CLASS_NORMAL ? ~sched_spared : UINT64_MAX;
}
/** Of the CPUs @allowed, a bit each; the first from @from on. */
unsigned int sched_least_busy(unsigned int from, uint64_t allowed);
/** CPU @id, whose queue is @rq, has nothing to run: help the busiest. */
void sched_pull(struct runq *rq, unsigned int id);
/** Threads wait on CPU @id: give one to a CPU that has at least two fewer. */
void sched_push(struct runq *rq, unsigned int id);

/* idle.c */
/** The idle CPU of this number, if nobody else has claimed it since it fell idle. */
bool idle_claim(unsigned int cpu);
/** Any idle CPU of those @allowed, claimed; -1: none. */
int idle_claim_any(uint64_t allowed);
/** Wait until this CPU is to switch threads. Context: IRQs off on entry and return, on in
 *  between; no locks. */
void idle_wait(void);

/* thread.c */
/** The switch away from the dead @t is complete: drop its own reference. Context: IRQs off. */
void thread_reap_later(struct thread *t);
/** Free what thread_reap_later() collected. Context: thread. */
void thread_reap(void);
/** A thread for the code that is running already, or for an idle loop. */
void thread_init_static(struct thread *t, const char *name, unsigned int cpu, bool idle);
/** Put @t on the list of live threads. */
void thread_publish(struct thread *t);

/* housekeeping.c */
/** Wake the thread that frees dead threads and runs epoch callbacks. Context: any but NMI. */
void housekeeping_wake(void);
void housekeeping_start(void);

/* epoch.c */
/**
 * Run every callback whose readers have left.
 * Returns: true when some must wait. Context: thread.
 */
bool epoch_reclaim(void);

#endif
