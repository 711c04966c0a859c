/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spinlocks where interrupts are off already: nothing can preempt the holder, so the preempt
 * count stays out of it, and the code is inline. For the scheduler, timers and wait queues,
 * whose sections are short and which lie on the way from an interrupt to a guest.
 */
#ifndef RAYOS_KERNEL_SCHED_SPINLOCK_IRQOFF_H
#define RAYOS_KERNEL_SCHED_SPINLOCK_IRQOFF_H

#include "kernel/arch/cpu.h"
#include "kernel/sched/spinlock.h"

#ifdef RAYOS_DEBUG
/** Context: IRQs off from before the lock until after the unlock. */
static inline void spin_lock_irqoff(struct spinlock *l)
{
	spin_lock(l);
}
static inline void spin_unlock_irqoff(struct spinlock *l)
{
	spin_unlock(l);
}
#else
static inline void spin_lock_irqoff(struct spinlock *l)
{
	uint16_t mine = __atomic_fetch_add(&l->next, 1, __ATOMIC_ACQUIRE);

	while (unlikely(__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != mine))
		cpu_relax();
}
static inline void spin_unlock_irqoff(struct spinlock *l)
{
	__atomic_store_n(&l->owner, (uint16_t)(l->owner + 1), __ATOMIC_RELEASE);
}
#endif

#endif
