/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Internet checksum (RFC 1071), over pieces of any length.
 * Owns: nothing. Pure; any context.
 */
#ifndef RAYOS_NET_CSUM_H
#define RAYOS_NET_CSUM_H

#include "kernel/lib/types.h"

/* A sum under way; zero to begin with. */
struct net_csum {
	uint64_t sum;
	bool odd; /* an odd number of bytes has been added */
};

/** Add @n < 2^31 bytes. Trust: the bytes may change meanwhile; the result is then some sum. */
void net_csum_add(struct net_csum *c, const void *p, uint32_t n);

/** Add a 16-bit number that goes over the wire in network order. Pre: !c->odd */
static inline void net_csum_add16(struct net_csum *c, uint16_t v)
{
	c->sum += __builtin_bswap16(v);
}

/** The folded sum, not complemented, as it is stored in memory. */
static inline uint16_t net_csum_fold(const struct net_csum *c)
{
	uint64_t s = (c->sum & 0xffffffff) + (c->sum >> 32);

	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)((s & 0xffff) + (s >> 16));
}

/** Its complement: what goes into a header. */
static inline uint16_t net_csum_finish(const struct net_csum *c)
{
	return (uint16_t)~net_csum_fold(c);
}

#endif
