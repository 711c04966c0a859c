/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/handler.h"

#include <string.h>

#include "kernel/time/time.h"

void vhandler_init(struct vhandler *h, uint32_t vm, enum policy_device device,
		   unsigned int instance)
{
	const struct quota_limits none = {0};

	memset(h, 0, sizeof(*h));
	h->vm = vm;
	h->device = device;
	h->instance = (uint16_t)instance;
	quota_init(&h->quota, &none, time_tsc_hz());
}

void vhandler_limit(struct vhandler *h, const struct quota_limits *limits)
{
	quota_set(&h->quota, limits, time_tsc_hz());
}

enum vhandler_verdict vhandler_admit_shared(struct vhandler *h, uint64_t cost, uint64_t now,
					    uint64_t *when)
{
	*when = quota_check(h->shared, now, 1, cost);
	if (*when == 0)
		return VHANDLER_GO;
	quota_give(&h->quota, 1, cost);
	__atomic_fetch_add(&h->quota.throttles, 1, __ATOMIC_RELAXED);
	return VHANDLER_WAIT;
}

enum vhandler_verdict vhandler_refuse(struct vhandler *h, enum policy_verb verb)
{
	__atomic_fetch_add(&h->denied, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->count[verb].errors, 1, __ATOMIC_RELAXED);
	return VHANDLER_DENIED;
}

struct vhandler_count vhandler_total(const struct vhandler *h)
{
	struct vhandler_count sum = {0};

	for (unsigned int i = 0; i < POLICY_VERBS; i++) {
		sum.ops += h->count[i].ops;
		sum.bytes += h->count[i].bytes;
		sum.errors += h->count[i].errors;
	}
	return sum;
}

uint64_t vhandler_percentile(const struct vhandler *h, unsigned int permille)
{
	uint64_t total = 0, seen = 0;

	for (unsigned int i = 0; i < VHANDLER_BUCKETS; i++)
		total += h->latency[i];
	for (unsigned int i = 0; total && i < VHANDLER_BUCKETS; i++) {
		seen += h->latency[i];
		/* Rounded up: the slowest one counts for 99.9 % of a thousand. */
		if (seen * 1000 >= total * permille)
			return time_tsc_to_ns(BIT(i));
	}
	return 0;
}
