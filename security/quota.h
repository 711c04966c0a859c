/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one guest device (or all of a kind, when they share one) may use: operations and bytes a
 * second, and bytes in use at once.
 * Owns: the accounts, and the count of what was put off or refused. Must not know: devices,
 * timers (the caller passes TSC ticks and waits), who is told.
 * Context: everything but quota_init() in any context, IRQs on or off, from several CPUs at
 * once; no locks.
 *
 *	when = quota_check(&dev->quota, rdtsc(), 1, bytes);
 *	if (when) {
 *		... leave the request in the ring, come back at TSC tick `when`
 *		crossed = quota_crossed(&dev->quota);
 *		if (crossed)
 *			... print the marker
 *	}
 */
#ifndef RAYOS_SECURITY_QUOTA_H
#define RAYOS_SECURITY_QUOTA_H

#include "kernel/lib/bucket.h"
#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

/* 0 = unlimited; a burst of 0 = what a tenth of a second allows. */
struct quota_limits {
	uint64_t ops_per_second;
	uint64_t ops_burst;
	uint64_t bytes_per_second;
	uint64_t bytes_burst;
	uint64_t bytes_in_use;
};

/** So many bits a second, at least a byte; 0 = unlimited. */
static inline struct quota_limits quota_limits_of_rate(uint64_t bits)
{
	return (struct quota_limits){ .bytes_per_second = bits ? MAX(bits / 8, 1u) : 0 };
}

#define QUOTA_OPS   BIT(0)
#define QUOTA_BYTES BIT(1)
#define QUOTA_SPACE BIT(2)

struct quota {
	struct bucket ops;
	struct bucket bytes;
	uint64_t in_use;     /* bytes charged; atomic */
	uint64_t throttles;  /* operations put off; atomic */
	uint64_t denials;    /* charges refused; atomic */
	uint32_t crossed;    /* QUOTA_*: not yet asked for; atomic */
	uint32_t space_over; /* a charge was refused since use was last low; atomic */
	struct quota_limits limits;
};

/**
 * Set limits; buckets are full, nothing is in use, all counts are 0.
 * @tsc_hz  ticks a second of the `now` that quota_check() will be given
 * Context: nobody uses @q meanwhile
 */
void quota_init(struct quota *q, const struct quota_limits *limits, uint64_t tsc_hz);

/**
 * Change the limits of a quota in use: buckets begin full, use and counts stay. Use may be over
 * the new limit; then nothing more is charged until it is below.
 * Context: no quota_check() meanwhile, that is with the device's queues locked or stopped
 */
void quota_set(struct quota *q, const struct quota_limits *limits, uint64_t tsc_hz);

/** quota_check() when there is not enough of @which (QUOTA_*). Returns @when. */
uint64_t quota_throttled(struct quota *q, uint32_t which, uint64_t now, uint64_t when);

/**
 * Take @ops operations and @bytes bytes of the allowance, both or neither.
 * @now  TSC ticks
 * Returns: 0 when taken; else the TSC tick before which asking again is in vain. An amount
 *          that is larger than the burst passes when the bucket is full, and is paid for after.
 * Trust:   @ops and @bytes may be guest-controlled
 */
__must_check static inline uint64_t quota_check(struct quota *q, uint64_t now, uint64_t ops,
						uint64_t bytes)
{
	uint64_t when = bucket_take(&q->ops, now, ops);

	if (unlikely(when))
		return quota_throttled(q, QUOTA_OPS, now, when);
	when = bucket_take(&q->bytes, now, bytes);
	if (unlikely(when)) {
		bucket_give(&q->ops, ops);
		return quota_throttled(q, QUOTA_BYTES, now, when);
	}
	return 0;
}

/** Give back what quota_check() took, for what did not happen after all. */
static inline void quota_give(struct quota *q, uint64_t ops, uint64_t bytes)
{
	bucket_give(&q->ops, ops);
	bucket_give(&q->bytes, bytes);
}

/**
 * Charge @bytes of space.
 * Returns: 0, -RAY_ENOSPC (counted as a denial; nothing charged)
 * Trust:   @bytes may be guest-controlled
 */
__must_check int quota_charge(struct quota *q, uint64_t bytes);

/** Return what was charged. More than that is a bug of the caller's: panics. */
void quota_uncharge(struct quota *q, uint64_t bytes);

static inline uint64_t quota_in_use(const struct quota *q)
{
	return __atomic_load_n(&q->in_use, __ATOMIC_RELAXED);
}

/**
 * Which limits (QUOTA_*) were crossed since the last call. Each crossing is told once: a rate's
 * again only after nobody was put off for as long as filling its bucket takes, space again only
 * after use was below 15/16 of the limit.
 */
uint32_t quota_crossed(struct quota *q);

#endif
