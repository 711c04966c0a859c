/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token bucket: so many units a second, so many at once. Exact over any time, whatever the
 * amounts and the moments of the calls are.
 * Owns: the arithmetic. Must not know: a clock (the caller passes its ticks) or what a unit is.
 * Context: any, IRQs on or off. Takers may run on several CPUs at once: a take is one
 * compare-and-swap, cheaper than a lock of its own would be. bucket_init() must be alone.
 *
 * Units are numbered in the order in which they are produced: at tick t, t * rate of them have
 * been. The only state is the number of the unit with whose production the bucket is full
 * again. Numbers wrap and are compared by their distance, which is unambiguous for 2^63 units:
 * 23 years between two takes at 100 Gbit/s, longer at any slower rate.
 */
#ifndef RAYOS_KERNEL_LIB_BUCKET_H
#define RAYOS_KERNEL_LIB_BUCKET_H

#include "kernel/lib/types.h"

#define BUCKET_RATE_MAX   (1ull << 36) /* units a second */
#define BUCKET_AMOUNT_MAX (1ull << 48) /* units at once, and burst; more counts as that many */

struct bucket {
	uint64_t full_at; /* number of the unit that fills it; atomic */
	uint64_t mul;     /* units a tick, with `shift` bits of fraction; 0 = unlimited */
	uint64_t burst;   /* units it holds */
	uint64_t wanted;  /* number of the unit the last refused take waits for; atomic */
	uint32_t shift;   /* 1..63 */
};

/**
 * Begin with a full bucket.
 * @rate   units a second, at most BUCKET_RATE_MAX count; 0 = unlimited
 * @burst  units it holds, 1..BUCKET_AMOUNT_MAX count: in any span of time so many more may be
 *         taken than the rate alone allows
 * @hz     ticks a second of the counter that bucket_take() will be given; 1 MHz or more
 * Context: nobody takes meanwhile
 */
void bucket_init(struct bucket *b, uint64_t rate, uint64_t burst, uint64_t hz);

/** bucket_take() where it is not the simple case. */
uint64_t bucket_take_slow(struct bucket *b, uint64_t now, uint64_t amount);

/** Units produced until tick @now, modulo 2^64. */
static inline uint64_t bucket_position(const struct bucket *b, uint64_t now)
{
	return (uint64_t)(((unsigned __int128)now * b->mul) >> (b->shift & 63));
}

/** Units missing to a full bucket when it is full with unit @full_at. */
static inline uint64_t bucket_lag(uint64_t full_at, uint64_t position)
{
	uint64_t lag = full_at - position;

	return (int64_t)lag < 0 ? 0 : lag;
}

/**
 * Take @amount units. More than the bucket holds are given when it is full, and what is too
 * much has to be produced before anything else is given.
 * @now   ticks; that another CPU's was a little later does no harm
 * Returns: 0 when taken; else the tick at which to try again, never too early: with no other
 *          taker in between it will succeed, and one tick before it would not
 * Trust:   @amount may be guest-controlled
 */
static inline uint64_t bucket_take(struct bucket *b, uint64_t now, uint64_t amount)
{
	uint64_t full_at, position, lag;

	if (b->mul == 0)
		return 0;
	position = bucket_position(b, now);
	full_at = __atomic_load_n(&b->full_at, __ATOMIC_RELAXED);
	if (unlikely(__builtin_add_overflow(bucket_lag(full_at, position), amount, &lag)) ||
	    unlikely(lag > b->burst) ||
	    unlikely(!__atomic_compare_exchange_n(&b->full_at, &full_at, position + lag, true,
						  __ATOMIC_RELAXED, __ATOMIC_RELAXED)))
		return bucket_take_slow(b, now, amount);
	return 0;
}

/** Give back what a successful take took, for what did not happen after all. */
static inline void bucket_give(struct bucket *b, uint64_t amount)
{
	__atomic_fetch_sub(&b->full_at, MIN(amount, BUCKET_AMOUNT_MAX), __ATOMIC_RELAXED);
}

/**
 * To be called after a take was refused: is it the first of its kind? It is when since the tick
 * that the last refused one was told, as much time has passed as filling the bucket takes. So a
 * user who stays at the limit is told of once, and again only after a pause.
 * @now, @when  what was given to and came from bucket_take()
 */
bool bucket_crossed(struct bucket *b, uint64_t now, uint64_t when);

#endif
