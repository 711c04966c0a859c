/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ticks of a counter to nanoseconds and back without division. Pure.
 * Both directions are exact inverses: scale_to_ticks(ns) is the smallest tick count that
 * scale_to_ns() turns into at least ns, so that a deadline is never early.
 */
#ifndef RAYOS_KERNEL_TIME_SCALE_H
#define RAYOS_KERNEL_TIME_SCALE_H

#include "kernel/lib/types.h"

#define NS_PER_SEC 1000000000ull

struct clock_scale {
	uint64_t ns_per_tick;   /* 32.32 */
	uint64_t ticks_per_ns;  /* the inverse of ns_per_tick: whole part, */
	uint64_t ticks_frac;    /* and 64 bits of fraction, rounded down */
};

/* Counters slower than 1 MHz would not fit 32.32 with room to spare, faster than 1 THz
 * would lose precision. */
#define SCALE_HZ_MIN 1000000ull
#define SCALE_HZ_MAX 1000000000000ull

/** @hz  within SCALE_HZ_MIN..MAX */
void scale_init(struct clock_scale *s, uint64_t hz);

static inline uint64_t scale_mul_shift(uint64_t v, uint64_t mul, unsigned int shift)
{
	return (uint64_t)(((unsigned __int128)v * mul) >> shift);
}

static inline uint64_t scale_to_ns(const struct clock_scale *s, uint64_t ticks)
{
	return scale_mul_shift(ticks, s->ns_per_tick, 32);
}

/** UINT64_MAX when the result does not fit. */
static inline uint64_t scale_to_ticks(const struct clock_scale *s, uint64_t ns)
{
	unsigned __int128 wide = (unsigned __int128)ns * s->ticks_per_ns +
				 scale_mul_shift(ns, s->ticks_frac, 64);
	uint64_t ticks = (uint64_t)wide;

	if (unlikely(wide >= UINT64_MAX - 2))
		return UINT64_MAX;
	/* Both products were rounded down: at most two short. In 128 bits, as these nanoseconds may
	 * be more than 64 hold. */
	while ((((unsigned __int128)ticks * s->ns_per_tick) >> 32) < ns)
		ticks++;
	return ticks;
}

/** floor(num * 2^64 / den) for num < den: long division, for set-up only. */
uint64_t scale_div_frac(uint64_t num, uint64_t den);

#endif
