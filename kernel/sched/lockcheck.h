/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which locks are taken, checked in debug builds (RAYOS_DEBUG).
 * Owns: what each CPU and each thread holds. An interrupt handler is a context of its own:
 * a lock it takes is compared only with what the handler itself holds.
 */
#ifndef RAYOS_KERNEL_SCHED_LOCKCHECK_H
#define RAYOS_KERNEL_SCHED_LOCKCHECK_H

#include "kernel/lib/types.h"

#define LOCKCHECK_DEPTH 12u

/* Orders held in one context, in the sequence they were taken. */
struct lockcheck {
	uint16_t held[LOCKCHECK_DEPTH];
	uint16_t count;
};

/**
 * Note that a lock of @order is taken. Pure.
 * Returns: 0 when the order is right (or unchecked: 0), else the held order it violates;
 *          LOCKCHECK_FULL when more are held than can be noted.
 */
#define LOCKCHECK_FULL 0xffffu
static inline unsigned int lockcheck_add(struct lockcheck *c, uint16_t order)
{
	if (order == 0)
		return 0;
	/* Out-of-order release leaves gaps in the sequence: compare with all of them. */
	for (unsigned int i = 0; i < c->count; i++)
		if (c->held[i] >= order)
			return c->held[i];
	if (c->count == LOCKCHECK_DEPTH)
		return LOCKCHECK_FULL;
	c->held[c->count++] = order;
	return 0;
}

/** Forget one lock of @order. Returns false when none was held. Pure. */
static inline bool lockcheck_del(struct lockcheck *c, uint16_t order)
{
	if (order == 0)
		return true;
	for (unsigned int i = c->count; i-- > 0;) {
		if (c->held[i] != order)
			continue;
		for (; i + 1 < c->count; i++)
			c->held[i] = c->held[i + 1];
		c->count--;
		return true;
	}
	return false;
}

#endif
