/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every operation of a guest on a device goes through: policy, quota, counters and a
 * histogram of how long it took.
 * Owns: the numbers of one attachment, over resets and rebuilds. Must not know: devices.
 * Locking: none; counters and buckets are atomic. Context: any but NMI.
 *
 *	switch (vhandler_admit(h, VERB, bytes, now, &when)) {
 *	case VHANDLER_GO: ... do it; vhandler_done(h, VERB, bytes, now, ok);
 *	case VHANDLER_WAIT: return virtq_wait_until(q, when);
 *	case VHANDLER_DENIED: ... the device's own error
 *	}
 */
#ifndef RAYOS_DEVICES_VIRT_HANDLER_H
#define RAYOS_DEVICES_VIRT_HANDLER_H

#include "kernel/arch/cpu.h"
#include "kernel/lib/types.h"
#include "security/policy.h"
#include "security/quota.h"

#define VHANDLER_BUCKETS 40u /* of TSC ticks, by powers of two; the last is open */

/* An operation that is counted by itself: the name people see, the verb the policy sees. */
struct vhandler_verb_name {
	const char *name;
	enum policy_verb verb;
};

struct vhandler_count {
	uint64_t ops, bytes, errors;
};

struct vhandler {
	uint32_t vm;       /* its id */
	uint16_t instance; /* which of its kind */
	enum policy_device device;
	struct vhandler_count count[POLICY_VERBS];
	uint64_t denied;    /* by policy */
	uint64_t malformed; /* times the driver broke the protocol */
	uint64_t latency[VHANDLER_BUCKETS];
	struct quota quota; /* counts what was put off and refused itself */
	struct quota *shared; /* one that others take from too, NULL: none; a kind's open() sets it */
};

enum vhandler_verdict { VHANDLER_GO, VHANDLER_WAIT, VHANDLER_DENIED };

/** Without limits; a kind's open() sets its own with vhandler_limit(). */
void vhandler_init(struct vhandler *h, uint32_t vm, enum policy_device device,
		   unsigned int instance);
/** Limits anew. Context: nobody is being admitted. */
void vhandler_limit(struct vhandler *h, const struct quota_limits *limits);

/** vhandler_admit() for who is refused. */
enum vhandler_verdict vhandler_refuse(struct vhandler *h, enum policy_verb verb);

/** vhandler_admit() where the handler's own quota has given its part. */
enum vhandler_verdict vhandler_admit_shared(struct vhandler *h, uint64_t cost, uint64_t now,
					    uint64_t *when);

/**
 * May this operation be done now?
 * @amount  what the policy is asked about; @cost bytes of data moved; @now TSC ticks
 * Returns: GO (taken from the quota), WAIT (until TSC tick *when), DENIED (counted)
 * Trust:   @amount and @cost are the guest's
 */
static inline enum vhandler_verdict vhandler_admit_cost(struct vhandler *h, enum policy_verb verb,
							uint64_t amount, uint64_t cost,
							uint64_t now, uint64_t *when)
{
	const struct policy_op op = {.vm = h->vm, .instance = h->instance,
				     .device = (uint8_t)h->device, .verb = (uint8_t)verb,
				     .amount = amount};

	if (unlikely(!policy_allows(&op)))
		return vhandler_refuse(h, verb);
	*when = quota_check(&h->quota, now, 1, cost);
	if (unlikely(*when != 0))
		return VHANDLER_WAIT;
	return likely(!h->shared) ? VHANDLER_GO : vhandler_admit_shared(h, cost, now, when);
}

/** The same where the amount is the bytes of data. */
static inline enum vhandler_verdict vhandler_admit(struct vhandler *h, enum policy_verb verb,
						   uint64_t bytes, uint64_t now, uint64_t *when)
{
	return vhandler_admit_cost(h, verb, bytes, bytes, now, when);
}

/** An operation admitted at TSC tick @start is over. */
static inline void vhandler_done(struct vhandler *h, enum policy_verb verb, uint64_t bytes,
				 uint64_t start, bool ok)
{
	struct vhandler_count *c = &h->count[verb];
	uint64_t ticks = rdtsc() - start;
	unsigned int bucket = ticks ? 64u - (unsigned int)__builtin_clzll(ticks) : 0;

	__atomic_fetch_add(&c->ops, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&c->bytes, bytes, __ATOMIC_RELAXED);
	if (unlikely(!ok))
		__atomic_fetch_add(&c->errors, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->latency[MIN(bucket, VHANDLER_BUCKETS - 1)], 1, __ATOMIC_RELAXED);
}

/** Has a limit been crossed that vhandler_crossed() has not told? */
static inline bool vhandler_has_crossed(const struct vhandler *h)
{
	const struct quota *shared = __atomic_load_n(&h->shared, __ATOMIC_RELAXED);

	return __atomic_load_n(&h->quota.crossed, __ATOMIC_RELAXED) ||
	       (shared && __atomic_load_n(&shared->crossed, __ATOMIC_RELAXED));
}

/** quota_crossed() of both quotas. */
static inline uint32_t vhandler_crossed(struct vhandler *h)
{
	struct quota *shared = __atomic_load_n(&h->shared, __ATOMIC_RELAXED);

	return quota_crossed(&h->quota) | (shared ? quota_crossed(shared) : 0);
}

/** Sums over all verbs. */
struct vhandler_count vhandler_total(const struct vhandler *h);

/**
 * How long at most did @permille thousandths of all operations take?
 * Returns: nanoseconds, the upper end of the histogram's bucket; 0 when there were none
 */
uint64_t vhandler_percentile(const struct vhandler *h, unsigned int permille);

#endif
