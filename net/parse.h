/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the headers of a frame are: Ethernet, VLAN tags, ARP, IPv4, IPv6 with its extension
 * headers, TCP, UDP, ICMP.
 * Owns: nothing. Must not know: policy; it says what is there, not whether that may pass. Pure;
 * any context.
 */
#ifndef RAYOS_NET_PARSE_H
#define RAYOS_NET_PARSE_H

#include "kernel/lib/types.h"

/* Ethernet, two VLAN tags, the longest IPv4 and TCP headers (14 + 8 + 60 + 60), in words. */
#define NET_HEAD_MAX 144u

enum net_l3 {
	NET_L3_OTHER,
	NET_L3_ARP,
	NET_L3_IPV4,
	NET_L3_IPV6,
};

enum net_l4 {
	NET_L4_OTHER,
	NET_L4_TCP,
	NET_L4_UDP,
	NET_L4_ICMP, /* ICMPv6 where l3 is NET_L3_IPV6 */
};

#define NET_P_BAD      BIT(0) /* a header is damaged, cut, or longer than what was copied */
#define NET_P_VLAN     BIT(1)
#define NET_P_FRAGMENT BIT(2) /* part of a packet; l4 is known in its first part only */
#define NET_P_LATER    BIT(3) /* and this is not its first part */
#define NET_P_ROUTED   BIT(4) /* IPv6 routing header: the final address is another */

/* EtherTypes and protocol numbers (IANA). */
#define NET_ETH_IPV4  0x0800u
#define NET_ETH_ARP   0x0806u
#define NET_ETH_VLAN  0x8100u
#define NET_ETH_IPV6  0x86ddu
#define NET_ETH_QINQ  0x88a8u
#define NET_IP_ICMP   1u
#define NET_IP_TCP    6u
#define NET_IP_UDP    17u
#define NET_IP_ICMPV6 58u

#define NET_TCP_FIN 0x01u
#define NET_TCP_SYN 0x02u
#define NET_TCP_RST 0x04u
#define NET_TCP_PSH 0x08u
#define NET_TCP_CWR 0x80u

struct net_parse {
	uint8_t l3, l4;      /* enum net_l3, net_l4 */
	uint8_t flags;       /* NET_P_* */
	uint8_t ip_proto;    /* of what follows the IP header and its extensions */
	uint8_t l3_off;      /* bytes from the start of the frame */
	uint8_t l4_off;      /* behind IP and its extensions; 0: not known */
	uint8_t payload_off; /* behind all headers that were understood */
	uint8_t tcp_flags;
	uint8_t icmp_type, icmp_code;
	uint16_t ethertype;    /* behind the tags */
	uint16_t vlan;         /* VID of the outer tag */
	uint16_t sport, dport; /* of TCP and UDP */
	uint32_t flow;         /* the same for both directions of a connection; 0 outside IP */
};

/**
 * Find the headers of a frame.
 * @head, @head_len  its first bytes, a private copy of at least 14 and at most NET_HEAD_MAX
 * @len              of the whole frame, >= head_len
 * @out              complete whatever the frame is: what it claims to be and is not is marked
 *                   NET_P_BAD, and offsets lie inside the head
 * Trust:   everything is hostile
 */
void net_parse(const uint8_t *head, uint32_t head_len, uint32_t len, struct net_parse *out);

#endif
