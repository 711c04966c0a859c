/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a switch consists of.
 * Owns: the table of addresses, net/mac_table.c.
 *
 * The table is read and learned into without locks: a place is one 64-bit word, changed by
 * compare and exchange only. How long ago it was seen stands beside it and is a hint: a learner
 * that loses a race may refresh the age of another address once.
 */
#ifndef RAYOS_NET_SWITCH_PRIV_H
#define RAYOS_NET_SWITCH_PRIV_H

#include "kernel/lib/list.h"
#include "kernel/sched/spinlock.h"
#include "net/switch.h"

#define MAC_WAYS          4u
#define MAC_BUCKETS_SHIFT 9u
#define MAC_BUCKETS       (1u << MAC_BUCKETS_SHIFT)
#define MAC_PLACES        (MAC_BUCKETS * MAC_WAYS)

/* A place: the address, then its kind, then the port's index. 0: free. */
#define MAC_ADDRESS_SHIFT 16u
#define MAC_PORT_MASK     0x3fffull
#define MAC_KIND_MASK     0xc000ull
#define MAC_LEARNED       0x4000ull
#define MAC_OWN           0x8000ull

/* Units of the ages: 2^30 ns. */
#define MAC_TICK_SHIFT 30u
#define MAC_AGE_MAX    (NET_SWITCH_AGE_SEC * 1000000000ull >> MAC_TICK_SHIFT)

struct mac_bucket {
	uint64_t place[MAC_WAYS];
	uint32_t seen[MAC_WAYS];
	uint32_t apart[4]; /* one cache line each */
};
BUILD_ASSERT(sizeof(struct mac_bucket) == 64, "a bucket is a cache line");

struct mac_table {
	struct mac_bucket bucket[MAC_BUCKETS];
	uint64_t multiplier; /* odd, and nobody's business: who knows it could fill one bucket */
};

struct net_switch {
	struct mac_table macs;
	struct net_port *port[NET_SWITCH_PORTS_MAX]; /* read inside an epoch section */
	bool used[NET_SWITCH_PORTS_MAX];             /* stays while a port is being detached */
	unsigned int port_end;                       /* no port from there on */
	struct spinlock lock;
	struct list_head node;
	char name[16];
};

static inline struct mac_bucket *mac_bucket(struct mac_table *t, uint64_t mac)
{
	uint64_t h = (mac << MAC_ADDRESS_SHIFT) * t->multiplier;

	return &t->bucket[h >> (64 - MAC_BUCKETS_SHIFT)];
}

static inline bool mac_place_is(uint64_t place, uint64_t mac)
{
	return place >> MAC_ADDRESS_SHIFT == mac && place & MAC_KIND_MASK;
}

/** Seconds since a learned address was seen. */
uint64_t mac_age_sec(const struct mac_bucket *b, unsigned int way);
/** Whether that is too long. */
bool mac_expired(const struct mac_bucket *b, unsigned int way);

/** Index of the port behind @mac, or -RAY_ENOENT. Context: any. */
static inline int mac_find(struct mac_table *t, uint64_t mac)
{
	struct mac_bucket *b = mac_bucket(t, mac);

	for (unsigned int i = 0; i < MAC_WAYS; i++) {
		uint64_t place = __atomic_load_n(&b->place[i], __ATOMIC_RELAXED);

		if (!mac_place_is(place, mac))
			continue;
		if (unlikely(!(place & MAC_OWN)) && mac_expired(b, i))
			return -RAY_ENOENT;
		return (int)(place & MAC_PORT_MASK);
	}
	return -RAY_ENOENT;
}

/**
 * Note that @mac has been seen behind @port.
 * Returns: 0, also when there is no place for it; -RAY_EPERM: it is another port's own
 * Context: any. Trust: @mac is hostile
 */
int __must_check mac_learn(struct mac_table *t, uint64_t mac, unsigned int port);
/** Reserve @mac for @port. 0, -RAY_EEXIST, -RAY_ENOSPC. Pre: the switch's lock. */
int __must_check mac_own(struct mac_table *t, uint64_t mac, unsigned int port);
/** Forget all of @port. Pre: the switch's lock; nobody learns for it any more. */
void mac_forget(struct mac_table *t, unsigned int port);

#endif
