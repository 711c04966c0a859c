/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of kernel/sched share: struct thread, the run queues, and how threads stop.
 * Locking: a thread's state, token and run-queue membership belong to the lock of the run
 * queue of t->cpu; see sched_lock_thread().
 *
 * on_cpu is set while a CPU still uses the thread's stack. It outlives the state: a thread
 * that has just blocked is on_cpu until the switch away from it is complete, and no other
 * CPU may run it before.
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
	struct thread *running;
	struct thread *idle;
	struct timer slice;
	bool slice_armed;        /* own CPU only */
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

/** Lock the run queue @t belongs to, by spin_lock_irqoff(). Context: IRQs off. Returns: it. */
struct runq *sched_lock_thread(const struct thread *t);

/** Queue a new thread on the CPU it is pinned to or the least busy. */
void sched_start_thread(struct thread *t);

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
