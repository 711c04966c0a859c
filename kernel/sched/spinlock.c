/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/sched/spinlock.h"

#include "kernel/arch/cpu.h"
#include "kernel/arch/preempt.h"
#include "kernel/panic.h"
#include "kernel/sched/lockcheck.h"
#include "kernel/sched/thread.h"

#ifdef RAYOS_DEBUG
/* [0]: what the thread holds, it cannot move while it does; [1]: interrupt handlers. */
static struct lockcheck cpu_locks[CPU_MAX][2];

static struct lockcheck *locks_here(const struct cpu *c)
{
	return &cpu_locks[c->id][c->irq_depth > 0];
}

static void check_before(const struct spinlock *l)
{
	if (l->cpu_plus1 == this_cpu()->id + 1)
		panic("spinlock of order %u taken twice", l->order);
}

static void check_acquired(struct spinlock *l)
{
	struct cpu *c = this_cpu();
	uint64_t flags = irq_save();
	unsigned int clash = lockcheck_add(locks_here(c), l->order);

	irq_restore(flags);
	if (clash)
		panic("spinlock of order %u taken while one of %u is held", l->order, clash);
	l->cpu_plus1 = (uint16_t)(c->id + 1);
}

static void check_release(struct spinlock *l)
{
	struct cpu *c = this_cpu();
	uint64_t flags = irq_save();
	bool held = l->cpu_plus1 == c->id + 1 && lockcheck_del(locks_here(c), l->order);

	irq_restore(flags);
	if (!held)
		panic("spinlock of order %u released by a CPU that does not hold it", l->order);
	l->cpu_plus1 = 0;
}
#else
static inline void check_before(const struct spinlock *l)
{
	(void)l;
}
static inline void check_acquired(struct spinlock *l)
{
	(void)l;
}
static inline void check_release(struct spinlock *l)
{
	(void)l;
}
#endif

static inline void ticket_take(struct spinlock *l)
{
	uint16_t mine = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != mine)
		cpu_relax();
}

static inline void ticket_give(struct spinlock *l)
{
	/* Only the holder writes owner. */
	__atomic_store_n(&l->owner, (uint16_t)(l->owner + 1), __ATOMIC_RELEASE);
}

void spin_lock_init(struct spinlock *l, enum lock_order order)
{
	*l = (struct spinlock)SPINLOCK_INIT((uint16_t)order);
}

void spin_lock(struct spinlock *l)
{
	preempt_count_inc();
	check_before(l);
	ticket_take(l);
	check_acquired(l);
}

bool spin_trylock(struct spinlock *l)
{
	uint16_t owner;

	preempt_count_inc();
	owner = __atomic_load_n(&l->owner, __ATOMIC_RELAXED);
	/* next == owner means free; taking a ticket then takes the lock. */
	if (!__atomic_compare_exchange_n(&l->next, &owner, (uint16_t)(owner + 1), false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		preempt_enable();
		return false;
	}
	check_acquired(l);
	return true;
}

void spin_unlock(struct spinlock *l)
{
	check_release(l);
	ticket_give(l);
	preempt_enable();
}

uint64_t spin_lock_irqsave(struct spinlock *l)
{
	uint64_t flags = irq_save();

	spin_lock(l);
	return flags;
}

void spin_unlock_irqrestore(struct spinlock *l, uint64_t flags)
{
	check_release(l);
	ticket_give(l);
	/* Interrupts first, so that a switch asked for meanwhile can happen right here. */
	irq_restore(flags);
	preempt_enable();
}
