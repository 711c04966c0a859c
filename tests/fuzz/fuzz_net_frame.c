/* UNIT: net/parse.c net/offload.c net/csum.c net/frame.c kernel/lib/fmt.c kernel/lib/sink.c */
/* PARSER: net/parse.c net/offload.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * A frame from a guest: twelve bytes of offload metadata as virtio-net has them, one that says
 * how the frame lies in memory and one what the receiver can do, then the frame.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/offload.h"

#define META 12u

#define MUST(x)                                                                                 \
	do {                                                                                    \
		if (!(x))                                                                       \
			abort();                                                                \
	} while (0)

struct out {
	const struct net_frame *sent;
	unsigned int caps;
	uint32_t payload;
	uint8_t bytes[NET_FRAME_MAX];
};

/* What a filter has decided from must be what goes out. */
static void same_to_a_filter(const struct net_frame *sent, const struct net_parse *p,
			     const uint8_t *bytes)
{
	const struct net_parse *q = &sent->parse;
	uint32_t ip = q->l3_off;

	MUST(p->l3 == q->l3 && p->l4 == q->l4 && p->ip_proto == q->ip_proto);
	MUST(p->l4_off == q->l4_off && p->payload_off == q->payload_off);
	MUST(p->sport == q->sport && p->dport == q->dport && p->vlan == q->vlan);
	MUST(p->flow == q->flow && memcmp(bytes, sent->head, NET_ETH_HLEN) == 0);
	if (q->l3 == NET_L3_IPV4 && !(q->flags & NET_P_BAD))
		MUST(memcmp(bytes + ip + 12, sent->head + ip + 12, 8) == 0);
}

static int take(const struct net_frame *f, void *arg)
{
	struct out *o = arg;
	struct net_cursor c;
	struct net_parse p;

	MUST(f->len <= NET_FRAME_MAX && f->head_len <= NET_HEAD_MAX && f->head_len <= f->len);
	MUST(net_offload_fits(f, o->caps));
	net_cursor_init(&c, f);
	net_cursor_copy(&c, o->bytes, f->len);
	net_parse(o->bytes, MIN(f->len, NET_HEAD_MAX), f->len, &p);
	same_to_a_filter(o->sent, &p, o->bytes);
	if (o->sent->gso_type && !f->gso_type) {
		MUST(!(p.flags & NET_P_BAD));
		MUST(f->len - p.payload_off <= o->sent->gso_size);
		o->payload += f->len - p.payload_off;
	} else {
		MUST(f->len == o->sent->len);
		o->payload = f->len - o->sent->hdr_len;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct net_seg seg[NET_FRAME_MAX];
	static struct out o;
	uint8_t head[NET_HEAD_MAX], *copy;
	uint32_t piece, n = 0;
	struct net_frame f;

	if (size < META || size > META + 4096)
		return 0;
	/* Exactly as much as there is, so that the sanitizer sees one byte too many. */
	copy = malloc(size - META + 1);
	MUST(copy);
	memcpy(copy, data + META, size - META);
	piece = data[10] + 1u;
	for (size_t at = META; at < size; at += piece)
		seg[n++] = (struct net_seg){copy + at - META, (uint32_t)MIN(piece, size - at)};
	if (net_frame_init(&f, head, seg, n, data[11] >> 4) == 0) {
		net_parse(f.head, f.head_len, f.len, &f.parse);
		MUST(f.parse.l3_off <= f.head_len && f.parse.l4_off <= f.head_len);
		MUST(f.parse.payload_off <= f.head_len);
		f.flags = data[0];
		f.gso_type = data[1];
		memcpy(&f.gso_size, data + 4, 2);
		memcpy(&f.csum_start, data + 6, 2);
		memcpy(&f.csum_offset, data + 8, 2);
		if (net_offload_check(&f) == 0) {
			o.sent = &f;
			o.caps = data[11] & 15u;
			o.payload = 0;
			MUST(net_offload_adapt(&f, o.caps, take, &o) == 0);
			MUST(o.payload == f.len - f.hdr_len);
		}
	}
	free(copy);
	return 0;
}
