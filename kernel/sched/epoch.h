/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader sections of epochs where interrupts are off already and no other section is open:
 * nothing can preempt or nest, so entering is one exchange and leaving one store. For the exit
 * handler of a vCPU; everybody else uses epoch_enter() and epoch_leave() (thread.h).
 */
#ifndef RAYOS_KERNEL_SCHED_EPOCH_H
#define RAYOS_KERNEL_SCHED_EPOCH_H

#include "kernel/arch/percpu.h"
#include "kernel/lib/types.h"

/** What a CPU that enters a section now notes in its struct cpu. Changed by epoch.c only. */
extern uint64_t epoch_now;

/**
 * Context: IRQs off until after epoch_leave_irqoff(), thread, outside any section. What is
 * called meanwhile may open and close sections of its own.
 */
static inline void epoch_enter_irqoff(void)
{
	uint64_t now = __atomic_load_n(&epoch_now, __ATOMIC_ACQUIRE);

	/* A full barrier, for the reason given in epoch_enter(). */
	__atomic_exchange_n(&this_cpu()->epoch, now, __ATOMIC_SEQ_CST);
}

static inline void epoch_leave_irqoff(void)
{
	__atomic_store_n(&this_cpu()->epoch, 0, __ATOMIC_RELEASE);
}

#endif
