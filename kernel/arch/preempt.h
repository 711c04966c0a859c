/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The preemption count of this CPU, changed by single instructions relative to the GS base:
 * a thread that moves to another CPU between two instructions cannot change the wrong count.
 * Owns: nothing; struct cpu has the field. The scheduler gives the count its meaning.
 */
#ifndef RAYOS_KERNEL_ARCH_PREEMPT_H
#define RAYOS_KERNEL_ARCH_PREEMPT_H

#include "kernel/arch/percpu.h"

static inline void preempt_count_inc(void)
{
	__asm__ volatile("incl %%gs:%c0"
			 : : "i"(offsetof(struct cpu, preempt_count)) : "memory", "cc");
}

/** Returns true when the count has become 0. */
static inline bool preempt_count_dec(void)
{
	bool zero;

	__asm__ volatile("decl %%gs:%c1"
			 : "=@ccz"(zero)
			 : "i"(offsetof(struct cpu, preempt_count))
			 : "memory");
	return zero;
}

static inline int32_t preempt_count(void)
{
	int32_t n;

	__asm__ volatile("movl %%gs:%c1, %0"
			 : "=r"(n) : "i"(offsetof(struct cpu, preempt_count)) : "memory");
	return n;
}

/**
 * The thread this CPU runs, read in one instruction. Not to be moved across the switch from
 * one stack to another, hence volatile.
 */
static inline struct thread *current_thread(void)
{
	struct thread *t;

	__asm__ volatile("movq %%gs:%c1, %0"
			 : "=r"(t) : "i"(offsetof(struct cpu, current)) : "memory");
	return t;
}

/** Whether this CPU is to switch threads. */
static inline bool need_resched(void)
{
	bool yes;

	__asm__ volatile("cmpl $0, %%gs:%c1"
			 : "=@ccne"(yes) : "i"(offsetof(struct cpu, need_resched)) : "memory");
	return yes;
}

/** Enable interrupts and halt, with no instruction between where one could be lost. */
static inline void cpu_idle_wait(void)
{
	/* STI holds interrupts off until after the next instruction (SDM vol. 2, STI). */
	__asm__ volatile("sti; hlt" : : : "memory");
}

#endif
