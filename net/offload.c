/* SPDX-License-Identifier: Apache-2.0 */
#include "net/offload.h"

#include "kernel/lib/unaligned.h"
#include "net/csum.h"

/* RFC 9293, 3.1; RFC 768; RFC 791, 3.1; RFC 8200, 3. */
#define TCP_SEQ       4u
#define TCP_FLAGS     13u
#define TCP_CSUM      16u
#define UDP_CSUM      6u
#define IP_LENGTH_MAX 65535u
#define IPV4_TOTAL    2u
#define IPV4_ID       4u
#define IPV4_CSUM     10u
#define IPV4_SOURCE   12u
#define IPV4_ADDRESS  4u
#define IPV6_HLEN     40u
#define IPV6_PAYLOAD  4u
#define IPV6_SOURCE   8u
#define IPV6_ADDRESS  16u

static bool csum_place_ok(const struct net_frame *f)
{
	const struct net_parse *p = &f->parse;

	if ((uint32_t)f->csum_start + f->csum_offset + 2u > f->head_len ||
	    p->flags & (NET_P_BAD | NET_P_FRAGMENT))
		return false;
	if (p->l4 == NET_L4_TCP && f->csum_start == p->l4_off)
		return f->csum_offset == TCP_CSUM;
	if (p->l4 == NET_L4_UDP && f->csum_start == p->l4_off)
		return f->csum_offset == UDP_CSUM;
	return f->csum_start >= p->payload_off;
}

static bool gso_ok(const struct net_frame *f)
{
	const struct net_parse *p = &f->parse;
	unsigned int type = f->gso_type & ~NET_GSO_ECN;

	return (type == NET_GSO_TCPV4 || type == NET_GSO_TCPV6) &&
	       p->l3 == (type == NET_GSO_TCPV4 ? NET_L3_IPV4 : NET_L3_IPV6) &&
	       p->l4 == NET_L4_TCP && f->csum_start == p->l4_off && !(p->flags & NET_P_ROUTED) &&
	       f->gso_size >= NET_GSO_SIZE_MIN && f->len > p->payload_off &&
	       (uint32_t)p->payload_off - p->l3_off + f->gso_size <= IP_LENGTH_MAX;
}

int net_offload_check(struct net_frame *f)
{
	f->needs = 0;
	f->hdr_len = 0;
	if (!(f->flags & NET_F_NEEDS_CSUM))
		return f->gso_type == NET_GSO_NONE ? 0 : -RAY_EPROTO;
	if (!csum_place_ok(f))
		return -RAY_EPROTO;
	f->needs = NET_CAP_CSUM;
	if (f->gso_type == NET_GSO_NONE)
		return 0;
	if (!gso_ok(f))
		return -RAY_EPROTO;
	f->hdr_len = f->parse.payload_off;
	f->gso_type &= (uint8_t)~NET_GSO_ECN;
	f->needs |= f->gso_type == NET_GSO_TCPV4 ? NET_CAP_TSO4 : NET_CAP_TSO6;
	if (f->parse.tcp_flags & NET_TCP_CWR) {
		f->gso_type |= NET_GSO_ECN;
		f->needs |= NET_CAP_ECN;
	}
	return 0;
}

/* Complete the checksum of a frame whose head is @head and may be written. */
static void csum_complete(struct net_frame *f, uint8_t *head)
{
	struct net_csum c = {.sum = 0};
	struct net_cursor at;
	uint32_t left = f->len - f->csum_start;
	uint16_t sum;

	net_cursor_init(&at, f);
	at.at += f->csum_start;
	at.left -= f->csum_start;
	for (;;) {
		uint32_t n = MIN(left, at.left);

		net_csum_add(&c, at.at, n);
		left -= n;
		if (left == 0)
			break;
		net_cursor_next(&at);
	}
	sum = net_csum_finish(&c);
	if (sum == 0)
		sum = 0xffff; /* the same number; to UDP 0 means none (RFC 768) */
	store16(head + f->csum_start + f->csum_offset, sum);
	f->flags &= (uint8_t)~NET_F_NEEDS_CSUM;
	f->csum_start = f->csum_offset = 0;
	f->needs = 0;
}

/* Where a TSO frame stands in becoming segments. */
struct segmenter {
	const struct net_frame *f;
	uint32_t hdr_len;
	uint32_t head_done; /* payload of the frame's head already in segments */
	uint32_t left;      /* payload to come */
	uint32_t seq;
	uint16_t ip_id;
	struct net_csum addresses; /* their part of the pseudo header */
	struct net_cursor at;      /* in the payload behind the head */
	uint8_t head[NET_HEAD_MAX];
};

static void segmenter_init(struct segmenter *s, const struct net_frame *f)
{
	const struct net_parse *p = &f->parse;
	const uint8_t *ip = f->head + p->l3_off;

	s->f = f;
	s->hdr_len = f->hdr_len;
	s->head_done = 0;
	s->left = f->len - f->hdr_len;
	s->seq = load_be32(f->head + p->l4_off + TCP_SEQ);
	s->ip_id = load_be16(ip + IPV4_ID);
	s->addresses = (struct net_csum){.sum = 0};
	if (p->l3 == NET_L3_IPV4)
		net_csum_add(&s->addresses, ip + IPV4_SOURCE, 2 * IPV4_ADDRESS);
	else
		net_csum_add(&s->addresses, ip + IPV6_SOURCE, 2 * IPV6_ADDRESS);
	net_cursor_init(&s->at, f);
	s->at.left = 0;
}

/* Length fields, IPv4's identification and checksum (RFC 791, 3.1). */
static void segment_ip(struct segmenter *s, uint32_t len)
{
	const struct net_parse *p = &s->f->parse;
	uint8_t *ip = s->head + p->l3_off;
	struct net_csum c = {.sum = 0};

	len -= p->l3_off;
	if (p->l3 == NET_L3_IPV6) {
		store_be16(ip + IPV6_PAYLOAD, (uint16_t)(len - IPV6_HLEN));
		return;
	}
	store_be16(ip + IPV4_TOTAL, (uint16_t)len);
	store_be16(ip + IPV4_ID, s->ip_id++);
	store16(ip + IPV4_CSUM, 0);
	net_csum_add(&c, ip, (uint32_t)p->l4_off - p->l3_off);
	store16(ip + IPV4_CSUM, net_csum_finish(&c));
}

static void segment_tcp(struct segmenter *s, uint32_t len, bool first, bool last)
{
	uint32_t l4_off = s->f->parse.l4_off;
	uint8_t *tcp = s->head + l4_off;
	struct net_csum c = s->addresses;

	store_be32(tcp + TCP_SEQ, s->seq);
	if (!first)
		tcp[TCP_FLAGS] &= (uint8_t)~NET_TCP_CWR; /* says so once (RFC 3168, 6.1.2) */
	if (!last)
		tcp[TCP_FLAGS] &= (uint8_t) ~(NET_TCP_FIN | NET_TCP_PSH);
	/* The pseudo header's sum; the field of the whole frame is not relied on. */
	net_csum_add16(&c, NET_IP_TCP);
	net_csum_add16(&c, (uint16_t)(len - l4_off));
	store16(tcp + TCP_CSUM, net_csum_fold(&c));
}

/* The next segment: its headers and what of its payload lies in the frame's head are in s->head. */
static void segment_next(struct segmenter *s, struct net_frame *out)
{
	const struct net_frame *f = s->f;
	bool first = s->left == f->len - s->hdr_len;
	uint32_t n = MIN(s->left, f->gso_size);
	uint32_t in_head = MIN(n, f->head_len - s->hdr_len - s->head_done);
	uint32_t rest = n - in_head;

	memcpy(s->head, f->head, s->hdr_len);
	memcpy(s->head + s->hdr_len, f->head + s->hdr_len + s->head_done, in_head);
	s->head_done += in_head;
	segment_ip(s, s->hdr_len + n);
	segment_tcp(s, s->hdr_len + n, first, n == s->left);
	*out = *f;
	out->head = s->head;
	out->head_len = s->hdr_len + in_head;
	out->len = s->hdr_len + n;
	out->seg = s->at.next;
	out->seg_count = s->at.seg_left;
	out->seg_skip = s->at.skip;
	if (rest > 0 && s->at.left > 0) { /* begin inside a piece */
		out->seg = s->at.next - 1;
		out->seg_count = s->at.seg_left + 1;
		out->seg_skip = out->seg->len - s->at.left;
	}
	while (rest > s->at.left) {
		rest -= s->at.left;
		net_cursor_next(&s->at);
	}
	s->at.left -= rest;
	s->left -= n;
	s->seq += n;
	out->parse.tcp_flags = s->head[f->parse.l4_off + TCP_FLAGS];
	out->gso_type = NET_GSO_NONE;
	out->gso_size = 0;
	out->hdr_len = 0;
	out->needs = NET_CAP_CSUM;
}

static int segment(const struct net_frame *f, unsigned int caps, net_frame_fn fn, void *arg)
{
	struct segmenter s;
	struct net_frame out;
	int err = 0;

	segmenter_init(&s, f);
	while (s.left > 0 && !err) {
		segment_next(&s, &out);
		if (!(caps & NET_CAP_CSUM))
			csum_complete(&out, s.head);
		err = fn(&out, arg);
	}
	return err;
}

int net_offload_adapt(const struct net_frame *f, unsigned int caps, net_frame_fn fn, void *arg)
{
	unsigned int lacks = f->needs & ~caps;
	uint8_t head[NET_HEAD_MAX];
	struct net_frame out;

	if (!lacks)
		return fn(f, arg);
	if (lacks != NET_CAP_CSUM)
		return segment(f, caps, fn, arg);
	out = *f;
	memcpy(head, f->head, f->head_len);
	out.head = head;
	csum_complete(&out, head);
	return fn(&out, arg);
}
