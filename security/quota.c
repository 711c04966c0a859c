/* SPDX-License-Identifier: Apache-2.0 */
#include "security/quota.h"

#include "kernel/panic.h"

#define BURST_FRACTION 10u /* of a second */
#define LOW(limit)     ((limit) - (limit) / 16)

static uint64_t burst_of(uint64_t burst, uint64_t rate)
{
	return burst ? burst : rate / BURST_FRACTION;
}

void quota_set(struct quota *q, const struct quota_limits *limits, uint64_t tsc_hz)
{
	bucket_init(&q->ops, limits->ops_per_second,
		    burst_of(limits->ops_burst, limits->ops_per_second), tsc_hz);
	bucket_init(&q->bytes, limits->bytes_per_second,
		    burst_of(limits->bytes_burst, limits->bytes_per_second), tsc_hz);
	q->limits = *limits;
}

void quota_init(struct quota *q, const struct quota_limits *limits, uint64_t tsc_hz)
{
	*q = (struct quota){ 0 };
	quota_set(q, limits, tsc_hz);
}

static void note_crossing(struct quota *q, uint32_t which)
{
	__atomic_fetch_or(&q->crossed, which, __ATOMIC_RELAXED);
}

uint64_t quota_throttled(struct quota *q, uint32_t which, uint64_t now, uint64_t when)
{
	__atomic_fetch_add(&q->throttles, 1, __ATOMIC_RELAXED);
	if (bucket_crossed(which == QUOTA_OPS ? &q->ops : &q->bytes, now, when))
		note_crossing(q, which);
	return when;
}

static int space_refused(struct quota *q)
{
	__atomic_fetch_add(&q->denials, 1, __ATOMIC_RELAXED);
	if (__atomic_exchange_n(&q->space_over, 1, __ATOMIC_RELAXED) == 0)
		note_crossing(q, QUOTA_SPACE);
	return -RAY_ENOSPC;
}

int quota_charge(struct quota *q, uint64_t bytes)
{
	uint64_t limit = q->limits.bytes_in_use ? q->limits.bytes_in_use : UINT64_MAX;
	uint64_t used = quota_in_use(q);

	do {
		if (used > limit || bytes > limit - used)
			return space_refused(q);
	} while (!__atomic_compare_exchange_n(&q->in_use, &used, used + bytes, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return 0;
}

void quota_uncharge(struct quota *q, uint64_t bytes)
{
	uint64_t used = __atomic_fetch_sub(&q->in_use, bytes, __ATOMIC_RELAXED);

	if (used < bytes)
		panic("quota: %lu bytes returned, %lu in use", bytes, used);
	if (used - bytes < LOW(q->limits.bytes_in_use))
		__atomic_store_n(&q->space_over, 0, __ATOMIC_RELAXED);
}

uint32_t quota_crossed(struct quota *q)
{
	if (__atomic_load_n(&q->crossed, __ATOMIC_RELAXED) == 0)
		return 0;
	return __atomic_exchange_n(&q->crossed, 0, __ATOMIC_RELAXED);
}
