/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler's side towards start-up code and interrupt entry. Threads use thread.h.
 */
#ifndef RAYOS_KERNEL_SCHED_SCHED_H
#define RAYOS_KERNEL_SCHED_SCHED_H

#include "kernel/lib/types.h"

struct thread;

/**
 * Make the running code a thread of its own ("boot"), give the boot processor its idle thread.
 * Context: init, boot processor, after mm, irq_init() and time_init(). Panics without memory.
 */
void sched_init(void);

/**
 * Prepare CPU @cpu's run queue and idle thread before the CPU starts.
 * Returns: 0 and the top of the idle thread's stack, -RAY_ENOMEM. Context: boot processor.
 */
int __must_check sched_ap_prepare(unsigned int cpu, void **stack_top);
/** Give back what sched_ap_prepare() took; the CPU never ran. */
void sched_ap_abandon(unsigned int cpu);

/** Become the idle thread of this CPU. Context: AP on its idle stack, IRQs off. */
void sched_idle_loop(void) __noreturn;

/**
 * The way out of an interrupt: switch threads if asked to and allowed.
 * @irqs_were_on  the interrupted code had interrupts enabled
 * Context: IRQs off, EOI sent, irq_depth back at its old value.
 */
void sched_irq_exit(bool irqs_were_on);
/** The resched IPI arrived. Context: interrupt. */
void sched_ipi(void);

/* Between sched.c and thread.c. */
void sched_cpu_init(unsigned int cpu, struct thread *running, struct thread *idle);

#endif
