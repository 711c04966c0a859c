/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An Ethernet frame on its way through the host.
 * Owns: nothing. The headers are one private copy, made by the sender's device: the bytes that
 * were checked are the ones acted on and sent. The payload stays where the sender has it, often
 * memory of a guest that changes under the reader; whoever receives the frame copies it from
 * there, once, and decides nothing from it.
 * Must not know: switches, devices, guests. Pure; any context. A frame lives during one call.
 */
#ifndef RAYOS_NET_FRAME_H
#define RAYOS_NET_FRAME_H

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "kernel/lib/unaligned.h"
#include "net/parse.h"

/* The longest: a TSO frame of 64 KiB of IP behind Ethernet and two VLAN tags. */
#define NET_FRAME_MAX (65535u + 22u)
#define NET_ETH_HLEN  14u

/* Offload metadata with the meaning and the values of virtio 1.2, 5.1.6. */
#define NET_F_NEEDS_CSUM 1u /* the checksum at csum_start + csum_offset is to be completed */
#define NET_F_DATA_VALID 2u /* checksums were verified */
#define NET_GSO_NONE     0u
#define NET_GSO_TCPV4    1u
#define NET_GSO_TCPV6    4u
#define NET_GSO_ECN      0x80u

/* What a receiver has to be able to do to take a frame as it is (net/offload.h). */
#define NET_CAP_CSUM BIT(0)
#define NET_CAP_TSO4 BIT(1)
#define NET_CAP_TSO6 BIT(2)
#define NET_CAP_ECN  BIT(3)

struct net_seg {
	const void *p; /* host address */
	uint32_t len;  /* bytes, may be 0 */
};

struct net_frame {
	const uint8_t *head; /* the first head_len bytes, private */
	uint32_t head_len;   /* MIN(len, NET_HEAD_MAX) when sent; at least NET_ETH_HLEN */
	uint32_t len;        /* of all: the head, then len - head_len bytes from the segments */
	const struct net_seg *seg;
	uint32_t seg_count;
	uint32_t seg_skip; /* bytes of the first segment that are not of the rest */

	uint8_t flags;     /* NET_F_* */
	uint8_t gso_type;  /* NET_GSO_* */
	uint16_t gso_size; /* with GSO: bytes of payload in a segment */
	uint16_t hdr_len;  /* with GSO: Ethernet to TCP header; set by net_offload_check() */
	uint16_t csum_start, csum_offset; /* with NET_F_NEEDS_CSUM */
	uint8_t needs;                    /* NET_CAP_*; set by net_offload_check() */

	struct net_parse parse; /* of the head; set by whoever takes the frame first */
};

/**
 * Begin a frame: copy its head out of @seg, leave the rest in place. Metadata: none; nothing is
 * parsed yet.
 * @head   NET_HEAD_MAX bytes that live as long as the frame
 * @skip   bytes of @seg before the frame, such as a device's own header
 * Returns: 0, -RAY_EPROTO (no whole Ethernet header), -RAY_E2BIG (over NET_FRAME_MAX)
 * Trust:   the segments are inside the sender's memory; lengths and contents are hostile
 */
int __must_check net_frame_init(struct net_frame *f, uint8_t *head, const struct net_seg *seg,
				uint32_t count, uint32_t skip);
/** The same for who knows how long the segments are together: @sum bytes. */
int __must_check net_frame_begin(struct net_frame *f, uint8_t *head, const struct net_seg *seg,
				 uint32_t count, uint32_t skip, uint64_t sum);

/* Reads a frame from front to end, once. */
struct net_cursor {
	const uint8_t *at; /* the piece under way */
	uint32_t left;     /* of it */
	uint32_t seg_left; /* segments after it */
	const struct net_seg *next;
	uint32_t skip; /* bytes of *next to pass over */
};

static inline void net_cursor_init(struct net_cursor *c, const struct net_frame *f)
{
	*c = (struct net_cursor){
		.at = f->head,
		.left = f->head_len,
		.seg_left = f->seg_count,
		.next = f->seg,
		.skip = f->seg_skip,
	};
}

/** The piece after this one becomes the present one. Pre: there is one. */
static __force_inline void net_cursor_next(struct net_cursor *c)
{
	c->at = (const uint8_t *)c->next->p + c->skip;
	c->left = c->next->len - c->skip;
	c->skip = 0;
	c->next++;
	c->seg_left--;
}

/** Copy the next @n bytes to @dst. Pre: the frame has them. */
static __force_inline void net_cursor_copy(struct net_cursor *c, void *dst, uint32_t n)
{
	uint8_t *to = dst;

	while (n > c->left) {
		memcpy(to, c->at, c->left);
		to += c->left;
		n -= c->left;
		net_cursor_next(c);
	}
	memcpy(to, c->at, n);
	c->at += n;
	c->left -= n;
}

/* A MAC address as a number: its first byte is the lowest. */
#define NET_MAC_MASK      ((1ull << 48) - 1)
#define NET_MAC_BROADCAST NET_MAC_MASK
#define NET_MAC_GROUP     1ull /* multicast and broadcast have it */
#define NET_MAC_LOCAL     2ull /* locally administered (IEEE 802, 8.4) */

static inline uint64_t net_mac_load(const uint8_t *p)
{
	return (uint64_t)load16(p + 4) << 32 | load32(p);
}

static inline void net_mac_store(uint8_t *p, uint64_t mac)
{
	store32(p, (uint32_t)mac);
	store16(p + 4, (uint16_t)(mac >> 32));
}

static inline uint64_t net_frame_dst(const struct net_frame *f)
{
	return net_mac_load(f->head);
}

static inline uint64_t net_frame_src(const struct net_frame *f)
{
	return net_mac_load(f->head + 6);
}

/** "52:54:00:12:34:56" into @out. */
#define NET_MAC_TEXT 18u
void net_mac_format(char out[NET_MAC_TEXT], uint64_t mac);
/** Read that form. 0, -RAY_EINVAL. Trust: any text. */
int __must_check net_mac_parse(const char *text, size_t len, uint64_t *out);

#endif
