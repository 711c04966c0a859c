/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spinlocks for unit tests: they check that locks are taken and released in pairs. Included
 * by one .c of a test; defines what kernel/sched/spinlock.h declares.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_LOCK_H
#define RAYOS_TESTS_HOST_FAKE_LOCK_H

#include <assert.h>

#include "kernel/sched/spinlock.h"

#define FAKE_LOCK_DEPTH 8
static struct spinlock *fake_lock_held[FAKE_LOCK_DEPTH];
static int fake_lock_count;

bool spin_trylock(struct spinlock *l)
{
	if (l->owner)
		return false;
	assert(fake_lock_count < FAKE_LOCK_DEPTH);
	l->owner = 1;
	fake_lock_held[fake_lock_count++] = l;
	return true;
}

void spin_lock(struct spinlock *l)
{
	bool free = spin_trylock(l);

	assert(free);
}

void spin_unlock(struct spinlock *l)
{
	assert(fake_lock_count > 0 && fake_lock_held[fake_lock_count - 1] == l);
	fake_lock_count--;
	l->owner = 0;
}

/* After a panic that was expected: what it held is free again. */
static __unused void fake_lock_release_all(void)
{
	while (fake_lock_count > 0)
		fake_lock_held[--fake_lock_count]->owner = 0;
}

uint64_t spin_lock_irqsave(struct spinlock *l)
{
	spin_lock(l);
	return 0;
}

void spin_unlock_irqrestore(struct spinlock *l, uint64_t flags)
{
	(void)flags;
	spin_unlock(l);
}

#endif
