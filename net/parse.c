/* SPDX-License-Identifier: Apache-2.0 */
#include "net/parse.h"

#include "kernel/lib/unaligned.h"

#define ETH_HLEN    14u
#define VLAN_TAGS   2u
#define IPV4_HLEN   20u
#define IPV6_HLEN   40u
#define EXT_HEADERS 8u  /* of IPv6; nobody sends more in earnest */
#define ARP_LEN     28u /* Ethernet and IPv4 (RFC 826) */
#define TCP_HLEN    20u
#define UDP_HLEN    8u
#define ICMP_HLEN   8u

/* RFC 8200, section 4; RFC 4302. */
#define EXT_HOP_BY_HOP  0u
#define EXT_ROUTING     43u
#define EXT_FRAGMENT    44u
#define EXT_AUTH        51u
#define EXT_DESTINATION 60u

struct head {
	const uint8_t *p;
	uint32_t len; /* of the private copy */
};

static __force_inline bool holds(const struct head h, uint32_t off, uint32_t n)
{
	return off + n <= h.len; /* both small: off <= NET_HEAD_MAX + 2 KiB */
}

static inline void bad(struct net_parse *out)
{
	out->flags |= NET_P_BAD;
}

/* Spread the sum of what both directions have in common over 32 bits. */
static inline uint32_t flow_hash(uint32_t addresses, uint32_t ports, uint32_t proto)
{
	const uint64_t odd = 0x9e3779b97f4a7c15ull;
	uint64_t v = (uint64_t)(ports << 8 ^ proto) << 32 | addresses;

	v *= odd;
	v ^= v >> 32;
	return (uint32_t)((v * odd) >> 32);
}

static __force_inline void ports_set(struct net_parse *out, const uint8_t *p)
{
	out->sport = load_be16(p);
	out->dport = load_be16(p + 2);
}

static __force_inline void parse_tcp(const struct head h, uint32_t off, struct net_parse *out)
{
	uint32_t hlen;

	if (!holds(h, off, TCP_HLEN))
		return bad(out);
	hlen = (uint32_t)(h.p[off + 12] >> 4) * 4;
	if (hlen < TCP_HLEN || !holds(h, off, hlen))
		return bad(out);
	out->l4 = NET_L4_TCP;
	ports_set(out, h.p + off);
	out->tcp_flags = h.p[off + 13];
	out->payload_off = (uint8_t)(off + hlen);
}

static __force_inline void parse_udp(const struct head h, uint32_t off, struct net_parse *out)
{
	if (!holds(h, off, UDP_HLEN))
		return bad(out);
	out->l4 = NET_L4_UDP;
	ports_set(out, h.p + off);
	out->payload_off = (uint8_t)(off + UDP_HLEN);
}

static void parse_icmp(const struct head h, uint32_t off, struct net_parse *out)
{
	if (!holds(h, off, ICMP_HLEN))
		return bad(out);
	out->l4 = NET_L4_ICMP;
	out->icmp_type = h.p[off];
	out->icmp_code = h.p[off + 1];
	out->payload_off = (uint8_t)(off + ICMP_HLEN);
}

/* What follows IP: @off is inside the head, @addresses the exclusive or of both. */
static __force_inline void parse_l4(const struct head h, uint32_t off, uint32_t addresses,
				    struct net_parse *out)
{
	uint32_t ports = 0;

	out->l4_off = out->payload_off = (uint8_t)off;
	if (likely(!(out->flags & NET_P_LATER))) {
		if (out->ip_proto == NET_IP_TCP)
			parse_tcp(h, off, out);
		else if (out->ip_proto == NET_IP_UDP)
			parse_udp(h, off, out);
		else if (out->ip_proto == (out->l3 == NET_L3_IPV4 ? NET_IP_ICMP : NET_IP_ICMPV6))
			parse_icmp(h, off, out);
	}
	/* All parts of a packet go one way: only the first knows its ports. */
	if (likely(!(out->flags & NET_P_FRAGMENT)))
		ports = (uint32_t)(out->sport ^ out->dport);
	out->flow = flow_hash(addresses, ports, out->ip_proto);
}

static __force_inline void parse_ipv4(const struct head h, uint32_t len, struct net_parse *out)
{
	const uint8_t *ip = h.p + out->l3_off;
	uint32_t hlen, total, fragment;

	out->l3 = NET_L3_IPV4;
	if (!holds(h, out->l3_off, IPV4_HLEN))
		return bad(out);
	hlen = (ip[0] & 15u) * 4;
	total = load_be16(ip + 2);
	if (ip[0] >> 4 != 4 || hlen < IPV4_HLEN || !holds(h, out->l3_off, hlen) || total < hlen ||
	    total > len - out->l3_off)
		return bad(out);
	out->ip_proto = ip[9];
	fragment = load_be16(ip + 6);
	/* More fragments, or an offset (RFC 791, 3.1). */
	if (unlikely(fragment & 0x3fff))
		out->flags |= fragment & 0x1fff ? NET_P_FRAGMENT | NET_P_LATER : NET_P_FRAGMENT;
	parse_l4(h, out->l3_off + hlen, load32(ip + 12) ^ load32(ip + 16), out);
}

/*
 * Pass over one extension header at *off. Returns whether *next was one and is whole.
 * A fragment header other than the first part's ends the search: no header follows it.
 */
static bool ext_pass(const struct head h, uint32_t *off, struct net_parse *out)
{
	const uint8_t *e = h.p + *off;
	uint32_t n;

	switch (out->ip_proto) {
	case EXT_HOP_BY_HOP:
	case EXT_ROUTING:
	case EXT_DESTINATION:
	case EXT_FRAGMENT:
	case EXT_AUTH:
		break;
	default:
		return false;
	}
	if (out->flags & NET_P_LATER)
		return false;
	if (!holds(h, *off, 8)) {
		bad(out);
		return false;
	}
	n = out->ip_proto == EXT_FRAGMENT ? 8
	    : out->ip_proto == EXT_AUTH   ? (e[1] + 2u) * 4
					  : (e[1] + 1u) * 8;
	if (!holds(h, *off, n)) {
		bad(out);
		return false;
	}
	if (out->ip_proto == EXT_ROUTING)
		out->flags |= NET_P_ROUTED;
	if (out->ip_proto == EXT_FRAGMENT && load_be16(e + 2) & 0xfff9)
		out->flags |=
			load_be16(e + 2) & 0xfff8 ? NET_P_FRAGMENT | NET_P_LATER : NET_P_FRAGMENT;
	out->ip_proto = e[0];
	*off += n;
	return true;
}

static __noinline void parse_ipv6(const struct head h, uint32_t len, struct net_parse *out)
{
	const uint8_t *ip = h.p + out->l3_off;
	uint32_t off = out->l3_off + IPV6_HLEN, addresses = 0, passed = 0;

	out->l3 = NET_L3_IPV6;
	if (!holds(h, out->l3_off, IPV6_HLEN))
		return bad(out);
	if (ip[0] >> 4 != 6 || (uint32_t)load_be16(ip + 4) + IPV6_HLEN > len - out->l3_off)
		return bad(out);
	out->ip_proto = ip[6];
	for (uint32_t i = 8; i < IPV6_HLEN; i += 4)
		addresses ^= load32(ip + i);
	while (ext_pass(h, &off, out)) {
		if (++passed > EXT_HEADERS) {
			bad(out);
			break;
		}
	}
	if (unlikely(out->flags & NET_P_BAD)) {
		out->flow = flow_hash(addresses, 0, 0);
		return;
	}
	parse_l4(h, off, addresses, out);
}

static void parse_arp(const struct head h, struct net_parse *out)
{
	out->l3 = NET_L3_ARP;
	if (!holds(h, out->l3_off, ARP_LEN))
		return bad(out);
	out->payload_off = (uint8_t)(out->l3_off + ARP_LEN);
}

/* @off: of the EtherType. Returns the offset of what it names. */
static __noinline uint32_t parse_tags(const struct head h, struct net_parse *out)
{
	uint32_t off = ETH_HLEN;

	for (unsigned int tag = 0; tag < VLAN_TAGS; tag++) {
		if (out->ethertype != NET_ETH_VLAN && out->ethertype != NET_ETH_QINQ)
			break;
		if (!holds(h, off, 4)) {
			bad(out);
			break;
		}
		if (!(out->flags & NET_P_VLAN))
			out->vlan = load_be16(h.p + off) & 0xfff;
		out->flags |= NET_P_VLAN;
		out->ethertype = load_be16(h.p + off + 2);
		off += 4;
	}
	return off;
}

void net_parse(const uint8_t *head, uint32_t head_len, uint32_t len, struct net_parse *out)
{
	const struct head h = {.p = head, .len = head_len};
	uint32_t off = ETH_HLEN;

	*out = (struct net_parse){.l3 = NET_L3_OTHER};
	out->ethertype = load_be16(head + 12);
	if (unlikely(out->ethertype == NET_ETH_VLAN || out->ethertype == NET_ETH_QINQ))
		off = parse_tags(h, out);
	out->l3_off = out->payload_off = (uint8_t)off;
	if (unlikely(out->flags & NET_P_BAD))
		return;
	if (likely(out->ethertype == NET_ETH_IPV4))
		parse_ipv4(h, len, out);
	else if (out->ethertype == NET_ETH_IPV6)
		parse_ipv6(h, len, out);
	else if (out->ethertype == NET_ETH_ARP)
		parse_arp(h, out);
}
