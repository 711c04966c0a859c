/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/time/time.h"
#include "net/switch_priv.h"

static uint32_t mac_now(void)
{
	return (uint32_t)(time_now() >> MAC_TICK_SHIFT);
}

static uint32_t mac_age(const struct mac_bucket *b, unsigned int way, uint32_t now)
{
	return now - __atomic_load_n(&b->seen[way], __ATOMIC_RELAXED);
}

uint64_t mac_age_sec(const struct mac_bucket *b, unsigned int way)
{
	return ((uint64_t)mac_age(b, way, mac_now()) << MAC_TICK_SHIFT) / 1000000000u;
}

bool mac_expired(const struct mac_bucket *b, unsigned int way)
{
	return mac_age(b, way, mac_now()) > MAC_AGE_MAX;
}

static uint64_t place_load(struct mac_bucket *b, unsigned int way)
{
	return __atomic_load_n(&b->place[way], __ATOMIC_SEQ_CST);
}

static bool place_change(struct mac_bucket *b, unsigned int way, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(&b->place[way], &from, to, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

static void place_seen(struct mac_bucket *b, unsigned int way, uint32_t now)
{
	if (__atomic_load_n(&b->seen[way], __ATOMIC_RELAXED) != now)
		__atomic_store_n(&b->seen[way], now, __ATOMIC_RELAXED);
}

/*
 * Two CPUs may have put one address into two places. Each looks again after it has, so the
 * later sees both, and leaves one: an own address before a learned one.
 */
static void bucket_settle(struct mac_bucket *b, uint64_t mac)
{
	uint64_t kept = 0;
	unsigned int kept_way = 0;

	for (unsigned int i = 0; i < MAC_WAYS; i++) {
		uint64_t place = place_load(b, i);

		if (!mac_place_is(place, mac))
			continue;
		if (kept && !(place & MAC_OWN)) {
			place_change(b, i, place, 0);
			continue;
		}
		if (kept)
			place_change(b, kept_way, kept, 0);
		kept = place;
		kept_way = i;
	}
}

/* Put @want into a free place, or into that of the learned address seen longest ago. */
static int bucket_insert(struct mac_bucket *b, uint64_t want, bool replace_fresh)
{
	uint32_t now = mac_now(), oldest = 0;
	uint64_t victim = 0;
	int way = -1;

	for (unsigned int i = 0; i < MAC_WAYS; i++) {
		uint64_t place = place_load(b, i);
		uint32_t age = place ? mac_age(b, i, now) : UINT32_MAX;

		if (place & MAC_OWN || (way >= 0 && age <= oldest) ||
		    (!replace_fresh && age <= MAC_AGE_MAX))
			continue;
		oldest = age;
		victim = place;
		way = (int)i;
	}
	if (way < 0)
		return -RAY_ENOSPC;
	if (!place_change(b, (unsigned int)way, victim, want))
		return -RAY_EAGAIN;
	place_seen(b, (unsigned int)way, now);
	bucket_settle(b, want >> MAC_ADDRESS_SHIFT);
	return 0;
}

int mac_learn(struct mac_table *t, uint64_t mac, unsigned int port)
{
	struct mac_bucket *b = mac_bucket(t, mac);
	uint64_t want = mac << MAC_ADDRESS_SHIFT | MAC_LEARNED | port;

	for (unsigned int i = 0; i < MAC_WAYS; i++) {
		uint64_t place = __atomic_load_n(&b->place[i], __ATOMIC_RELAXED);

		if (!mac_place_is(place, mac))
			continue;
		if (place & MAC_OWN)
			return (place & MAC_PORT_MASK) == port ? 0 : -RAY_EPERM;
		if (place != want)
			place_change(b, i, place, want);
		place_seen(b, i, mac_now());
		return 0;
	}
	/* A bucket full of addresses in use stays as it is: the new one is flooded to. */
	(void)bucket_insert(b, want, false);
	return 0;
}

int mac_own(struct mac_table *t, uint64_t mac, unsigned int port)
{
	struct mac_bucket *b = mac_bucket(t, mac);
	uint64_t want = mac << MAC_ADDRESS_SHIFT | MAC_OWN | port;
	int err;

	for (unsigned int i = 0; i < MAC_WAYS; i++) {
		uint64_t place = place_load(b, i);

		if (mac_place_is(place, mac) && place & MAC_OWN)
			return -RAY_EEXIST;
	}
	do
		err = bucket_insert(b, want, true);
	while (err == -RAY_EAGAIN); /* a learner was faster */
	return err;
}

void mac_forget(struct mac_table *t, unsigned int port)
{
	for (unsigned int k = 0; k < MAC_BUCKETS; k++) {
		struct mac_bucket *b = &t->bucket[k];

		for (unsigned int i = 0; i < MAC_WAYS; i++) {
			uint64_t place = place_load(b, i);

			if (place && (place & MAC_PORT_MASK) == port)
				place_change(b, i, place, 0);
		}
	}
}
