/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preemptive kernel threads on per-CPU run queues.
 * Owns: struct thread, run queues, balancing, the idle loop. Must not know: guests.
 */
#ifndef RAYOS_KERNEL_SCHED_THREAD_H
#define RAYOS_KERNEL_SCHED_THREAD_H

#include "kernel/lib/types.h"

struct thread;

/* A higher class runs first; within a class threads share fairly by CPU time used. */
enum thread_class {
	THREAD_CLASS_WORKER, /* device workers, shell, network: short bursts */
	THREAD_CLASS_NORMAL, /* vCPUs */
};

/*
 * Called by the scheduler with IRQs off on the CPU concerned, run-queue lock not held: out
 * before another thread runs, in before this one continues (perhaps on another CPU). A thread
 * that sleeps while nobody else wants its CPU goes through neither. A vCPU saves and loads its
 * XSAVE, debug and VMCS state here. NULL members are skipped.
 */
struct thread_hooks {
	void (*sched_out)(struct thread *t, void *arg);
	void (*sched_in)(struct thread *t, void *arg);
	void *arg;
};

struct thread_attr {
	enum thread_class cls;
	int cpu;                          /* pinned to that CPU, or -1 */
	size_t stack;                     /* bytes, page multiple; 0: 16 KiB */
	const struct thread_hooks *hooks; /* NULL: none; must outlive the thread */
};

/**
 * Create and start a thread. @name is copied (31 bytes).
 * Returns: 0 and *out (a reference, drop it with thread_join() or thread_detach()),
 *          -RAY_ENOMEM. Context: thread or init.
 */
int __must_check thread_create(struct thread **out, const char *name, void (*fn)(void *arg),
			       void *arg, const struct thread_attr *attr);
/** Wait for its end and free it. Context: thread. */
void thread_join(struct thread *t);
void thread_detach(struct thread *t);
/** End the calling thread. */
void thread_exit(void) __noreturn;
struct thread *thread_current(void);
const char *thread_name(const struct thread *t);
/** Make a sleeping thread runnable; harmless when it is not asleep. Context: any but NMI. */
void thread_wake(struct thread *t);
/** Give up the CPU if another thread of the same or a higher class waits. */
void thread_yield(void);
void thread_sleep_until(uint64_t deadline_ns);
/** CPU the thread runs or last ran on. */
unsigned int thread_cpu(const struct thread *t);
/** Nanoseconds of CPU the thread has used. */
uint64_t thread_runtime(const struct thread *t);

/**
 * Keep @cpu for workers: from now on it takes threads of THREAD_CLASS_NORMAL only when they are
 * pinned to it. Context: init, before there are threads that must not run there.
 */
void thread_cpu_spare(unsigned int cpu);
/** The CPUs, a bit each, that threads of a class may run on when they are not pinned. */
uint64_t thread_cpus(enum thread_class cls);

/* Nestable; a pending switch happens at the outermost enable. */
void preempt_disable(void);
void preempt_enable(void);
/** Switch if asked to. Context: thread, IRQs on, no locks. */
void sched_point(void);

/* Epochs: what lock-free readers may still hold is freed when all have left (docs/architecture.md). */
void epoch_enter(void);
void epoch_leave(void);
struct epoch_entry {
	struct epoch_entry *next;
	void (*fn)(struct epoch_entry *e);
	uint64_t epoch;
};
/** Call fn once every reader that could see the object has left. Context: any but NMI. */
void epoch_call(struct epoch_entry *e, void (*fn)(struct epoch_entry *e));
/** Wait until all present readers have left. Context: thread. */
void epoch_synchronize(void);

#endif
