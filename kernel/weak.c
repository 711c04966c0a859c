/* SPDX-License-Identifier: Apache-2.0 */
/* What other layers define once they are there. */
#include "kernel/arch/cpu.h"
#include "kernel/arch/trap.h"
#include "kernel/irq/irq.h"
#include "kernel/panic.h"
#include "kernel/sched/spinlock.h"
#include "kernel/sched/wait.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define WEAK __attribute__((weak))

WEAK void irq_dispatch(struct trap_frame *tf, unsigned int vector)
{
	panic_trap(tf, "interrupt %u without a handler", vector);
}

WEAK void ipi_nmi_others(void)
{
}

WEAK bool irq_in_handler(void)
{
	return false;
}

WEAK void ipi_call_all(void (*fn)(void *arg), void *arg)
{
	fn(arg);
}

WEAK void spin_lock(struct spinlock *l)
{
	l->owner = 1;
}

WEAK bool spin_trylock(struct spinlock *l)
{
	return l->owner == 0;
}

WEAK void spin_unlock(struct spinlock *l)
{
	l->owner = 0;
}

WEAK uint64_t spin_lock_irqsave(struct spinlock *l)
{
	uint64_t flags = irq_save();

	spin_lock(l);
	return flags;
}

WEAK void spin_unlock_irqrestore(struct spinlock *l, uint64_t flags)
{
	spin_unlock(l);
	irq_restore(flags);
}

WEAK const char *thread_name(const struct thread *t)
{
	(void)t;
	return "?";
}

WEAK uint64_t time_tsc_to_ns(uint64_t tsc)
{
	return tsc;
}

WEAK void waitq_wake_one(struct waitq *q)
{
	(void)q;
}
