/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares the TSCs of two CPUs by exchanging readings.
 */
#ifndef RAYOS_KERNEL_TIME_TSC_SYNC_H
#define RAYOS_KERNEL_TIME_TSC_SYNC_H

#include "kernel/lib/types.h"

/* One exchange: the other CPU read @there between our two readings. */
struct tsc_exchange {
	uint64_t before, there, after;
};

/** Whether the reading is impossible for a clock in step with ours. Pure. */
static inline bool tsc_exchange_differs(const struct tsc_exchange *e)
{
	return e->there < e->before || e->there > e->after;
}

/** How far the other clock is ahead, to within half the exchange's length. Pure. */
static inline int64_t tsc_exchange_offset(const struct tsc_exchange *e)
{
	return (int64_t)(e->there - (e->before + (e->after - e->before) / 2));
}

/**
 * Compare this CPU's clock with that of the one in tsc_sync_answer(); tries once to put the
 * other one right.
 * @ahead  what is left: how far the other clock is ahead, 0 when no difference can be seen
 * Context: boot processor while it starts an AP, preemption off.
 * Returns: false when the other CPU did not answer.
 */
bool tsc_sync_ask(int64_t *ahead);
/** The other side. Context: AP, IRQs off. */
void tsc_sync_answer(void);

#endif
