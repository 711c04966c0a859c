/* UNIT: net/parse.c net/frame.c kernel/lib/fmt.c kernel/lib/sink.c */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/frame.h"

#define ETH(type) 0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, (type) >> 8, (type) & 0xff
/* 10.0.0.1 to 10.0.0.2; total and fragment word as given. */
#define IPV4(hl, total, frag, proto)                                                            \
	0x40 | (hl), 0, (total) >> 8, (total) & 0xff, 0x12, 0x34, (frag) >> 8, (frag) & 0xff,   \
		64, (proto), 0, 0, 10, 0, 0, 1, 10, 0, 0, 2
#define TCP(sport, dport, words, flags)                                                         \
	(sport) >> 8, (sport) & 0xff, (dport) >> 8, (dport) & 0xff, 0, 0, 0, 1, 0, 0, 0, 2,     \
		(words) << 4, (flags), 1, 0, 0, 0, 0, 0
#define IPV6(plen, next)                                                                        \
	0x60, 0, 0, 0, (plen) >> 8, (plen) & 0xff, (next), 64, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
		0, 0, 0, 0, 0, 1, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2
#define UDP(sport, dport) (sport) >> 8, (sport) & 0xff, (dport) >> 8, (dport) & 0xff, 0, 8, 0, 0

/* A copy of exactly that size, so that the sanitizer sees a step too far. */
static struct net_parse parse_len(const uint8_t *p, size_t n, size_t len)
{
	uint8_t *copy = malloc(n);
	struct net_parse out;

	assert_non_null(copy);
	memcpy(copy, p, n);
	memset(&out, 0xa5, sizeof(out));
	net_parse(copy, (uint32_t)n, (uint32_t)len, &out);
	free(copy);
	return out;
}

#define PARSE(...)                                                                              \
	parse_len((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}),        \
		  sizeof((const uint8_t[]){__VA_ARGS__}))

static void test_tcp4(void **state)
{
	struct net_parse p = PARSE(ETH(0x0800), IPV4(5, 40, 0x4000, 6), TCP(1234, 80, 5, 0x12));

	(void)state;
	assert_int_equal(p.ethertype, 0x0800);
	assert_int_equal(p.l3, NET_L3_IPV4);
	assert_int_equal(p.l4, NET_L4_TCP);
	assert_int_equal(p.flags, 0);
	assert_int_equal(p.ip_proto, 6);
	assert_int_equal(p.l3_off, 14);
	assert_int_equal(p.l4_off, 34);
	assert_int_equal(p.payload_off, 54);
	assert_int_equal(p.sport, 1234);
	assert_int_equal(p.dport, 80);
	assert_int_equal(p.tcp_flags, 0x12);
	/* Padding behind the packet, as Ethernet's 60 bytes have it, is fine. */
	p = PARSE(ETH(0x0800), IPV4(5, 40, 0, 6), TCP(1, 2, 5, 0), 0, 0, 0, 0, 0, 0);
	assert_int_equal(p.flags, 0);
}

static void test_ipv4_options_and_errors(void **state)
{
	struct net_parse p = PARSE(ETH(0x0800), IPV4(6, 52, 0, 6), 1, 1, 1, 0, TCP(1, 2, 7, 0), 1, 1,
				   1, 1, 1, 1, 1, 0);

	(void)state;
	assert_int_equal(p.flags, 0);
	assert_int_equal(p.l4_off, 38);
	assert_int_equal(p.payload_off, 66);
	/* Header length below five words; beyond the frame; beyond the total. */
	p = PARSE(ETH(0x0800), IPV4(4, 40, 0, 6), TCP(1, 2, 5, 0));
	assert_int_equal(p.flags, NET_P_BAD);
	assert_int_equal(p.l4, NET_L4_OTHER);
	p = PARSE(ETH(0x0800), IPV4(15, 40, 0, 6), TCP(1, 2, 5, 0));
	assert_int_equal(p.flags, NET_P_BAD);
	p = PARSE(ETH(0x0800), IPV4(5, 19, 0, 6), TCP(1, 2, 5, 0));
	assert_int_equal(p.flags, NET_P_BAD);
	/* Total length beyond the frame. */
	p = PARSE(ETH(0x0800), IPV4(5, 41, 0, 6), TCP(1, 2, 5, 0));
	assert_int_equal(p.flags, NET_P_BAD);
	/* Version 6 under IPv4's type. */
	p = PARSE(ETH(0x0800), IPV6(0, 59));
	assert_int_equal(p.flags, NET_P_BAD);
	/* TCP header shorter than it may be, longer than the frame, cut. */
	p = PARSE(ETH(0x0800), IPV4(5, 40, 0, 6), TCP(1, 2, 4, 0));
	assert_int_equal(p.flags, NET_P_BAD);
	p = PARSE(ETH(0x0800), IPV4(5, 40, 0, 6), TCP(1, 2, 6, 0));
	assert_int_equal(p.flags, NET_P_BAD);
	p = PARSE(ETH(0x0800), IPV4(5, 28, 0, 6), UDP(1, 2));
	assert_int_equal(p.flags, NET_P_BAD);
	assert_int_equal(p.l4, NET_L4_OTHER);
}

static void test_fragments(void **state)
{
	struct net_parse whole = PARSE(ETH(0x0800), IPV4(5, 28, 0, 17), UDP(7, 8));
	struct net_parse first = PARSE(ETH(0x0800), IPV4(5, 28, 0x2000, 17), UDP(7, 8));
	struct net_parse later = PARSE(ETH(0x0800), IPV4(5, 28, 0x0001, 17), UDP(7, 8));
	struct net_parse other;

	(void)state;
	assert_int_equal(whole.l4, NET_L4_UDP);
	assert_int_equal(whole.payload_off, 42);
	assert_int_equal(first.flags, NET_P_FRAGMENT);
	assert_int_equal(first.l4, NET_L4_UDP);
	assert_int_equal(later.flags, NET_P_FRAGMENT | NET_P_LATER);
	assert_int_equal(later.l4, NET_L4_OTHER);
	assert_int_equal(later.sport, 0);
	assert_int_equal(later.payload_off, 34);
	assert_int_equal(first.flow, later.flow);
	/* The same in IPv6; an atomic fragment (RFC 6946) is a whole packet. */
	first = PARSE(ETH(0x86dd), IPV6(16, 44), 17, 0, 0, 1, 0, 0, 0, 9, UDP(7, 8));
	later = PARSE(ETH(0x86dd), IPV6(16, 44), 17, 0, 0, 8, 0, 0, 0, 9, UDP(7, 8));
	other = PARSE(ETH(0x86dd), IPV6(16, 44), 17, 0, 0, 0, 0, 0, 0, 9, UDP(7, 8));
	assert_int_equal(first.flags, NET_P_FRAGMENT);
	assert_int_equal(first.l4, NET_L4_UDP);
	assert_int_equal(later.flags, NET_P_FRAGMENT | NET_P_LATER);
	assert_int_equal(later.l4, NET_L4_OTHER);
	assert_int_equal(first.flow, later.flow);
	assert_int_equal(other.flags, 0);
	assert_int_equal(other.l4, NET_L4_UDP);
	/* What looks like a header behind a later fragment is data. */
	later = PARSE(ETH(0x86dd), IPV6(16, 44), 43, 0, 0, 8, 0, 0, 0, 9, 17, 0, 0, 0, 0, 0, 0, 0);
	assert_int_equal(later.flags, NET_P_FRAGMENT | NET_P_LATER);
	assert_int_equal(later.ip_proto, 43);
}

static void test_ipv6_extensions(void **state)
{
	struct net_parse p = PARSE(ETH(0x86dd), IPV6(20, 6), TCP(5, 6, 5, 0x10));
	uint8_t many[14 + 40 + 80 + 8] = {ETH(0x86dd), IPV6(88, 60)};

	(void)state;
	assert_int_equal(p.l3, NET_L3_IPV6);
	assert_int_equal(p.l4, NET_L4_TCP);
	assert_int_equal(p.l4_off, 54);
	assert_int_equal(p.payload_off, 74);
	/* Hop by hop, routing, destination options of 16 bytes, authentication (words + 2). */
	p = PARSE(ETH(0x86dd), IPV6(52, 0), 43, 0, 1, 4, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 51, 1,
		  1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 58, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 128,
		  0, 0, 0, 0, 1, 0, 1);
	assert_int_equal(p.flags, NET_P_ROUTED);
	assert_int_equal(p.l4, NET_L4_ICMP);
	assert_int_equal(p.icmp_type, 128);
	assert_int_equal(p.l4_off, 14 + 40 + 8 + 8 + 16 + 12);
	/* ICMP's number of IPv4 is another protocol here, and the other way round. */
	p = PARSE(ETH(0x86dd), IPV6(8, 1), 8, 0, 0, 0, 0, 1, 0, 1);
	assert_int_equal(p.l4, NET_L4_OTHER);
	assert_int_equal(p.flags, 0);
	/* No next header. */
	p = PARSE(ETH(0x86dd), IPV6(0, 59));
	assert_int_equal(p.flags, 0);
	assert_int_equal(p.l4_off, 54);
	/* An extension that is cut, one longer than the frame, a payload longer than the frame. */
	p = PARSE(ETH(0x86dd), IPV6(4, 0), 6, 0, 0, 0);
	assert_int_equal(p.flags, NET_P_BAD);
	p = PARSE(ETH(0x86dd), IPV6(8, 60), 6, 255, 0, 0, 0, 0, 0, 0);
	assert_int_equal(p.flags, NET_P_BAD);
	p = PARSE(ETH(0x86dd), IPV6(9, 17), UDP(1, 2));
	assert_int_equal(p.flags, NET_P_BAD);
	p = PARSE(ETH(0x86dd), IPV4(5, 20, 0, 6), IPV4(5, 20, 0, 6));
	assert_int_equal(p.flags, NET_P_BAD);
	/* Eight extensions pass, nine do not. */
	for (unsigned int i = 0; i < 10; i++)
		many[54 + 8 * i] = 60;
	many[54 + 8 * 7] = 17;
	p = parse_len(many, sizeof(many), sizeof(many));
	assert_int_equal(p.flags, 0);
	assert_int_equal(p.l4, NET_L4_UDP);
	many[54 + 8 * 7] = 60;
	many[54 + 8 * 8] = 17;
	p = parse_len(many, sizeof(many), sizeof(many));
	assert_int_equal(p.flags, NET_P_BAD);
}

static void test_vlan_arp_other(void **state)
{
	struct net_parse p =
		PARSE(ETH(0x8100), 0x60, 5, 0x08, 0x00, IPV4(5, 28, 0, 1), 8, 0, 0, 0, 0, 1, 0, 1);

	(void)state;
	assert_int_equal(p.flags, NET_P_VLAN);
	assert_int_equal(p.vlan, 5);
	assert_int_equal(p.l4, NET_L4_ICMP);
	assert_int_equal(p.icmp_type, 8);
	assert_int_equal(p.l3_off, 18);
	p = PARSE(ETH(0x88a8), 0, 7, 0x81, 0x00, 0, 9, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1, 0, 0, 0, 0,
		  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_int_equal(p.flags, NET_P_VLAN);
	assert_int_equal(p.vlan, 7);
	assert_int_equal(p.l3, NET_L3_ARP);
	assert_int_equal(p.payload_off, 22 + 28);
	p = PARSE(ETH(0x0806), 0, 1, 8, 0, 6, 4, 0, 1);
	assert_int_equal(p.flags, NET_P_BAD);
	/* A third tag is not looked behind; a cut one is noticed. */
	p = PARSE(ETH(0x8100), 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 8, 0);
	assert_int_equal(p.l3, NET_L3_OTHER);
	assert_int_equal(p.ethertype, 0x8100);
	p = PARSE(ETH(0x8100), 0, 1, 8);
	assert_int_equal(p.flags, NET_P_BAD);
	p = PARSE(ETH(0x88cc), 1, 2, 3);
	assert_int_equal(p.l3, NET_L3_OTHER);
	assert_int_equal(p.flags, 0);
	assert_int_equal(p.payload_off, 14);
	assert_int_equal(p.flow, 0);
}

static void test_flow(void **state)
{
	struct net_parse there = PARSE(ETH(0x0800), IPV4(5, 28, 0, 17), UDP(1000, 2000));
	uint8_t back[] = {ETH(0x0800), IPV4(5, 28, 0, 17), UDP(2000, 1000)};
	struct net_parse p;
	uint32_t queues[8] = {0};

	(void)state;
	back[14 + 15] = 2;
	back[14 + 19] = 1;
	p = parse_len(back, sizeof(back), sizeof(back));
	assert_int_equal(p.flow, there.flow);
	assert_int_not_equal(p.flow, 0);
	/* Connections that differ in one port spread over queues. */
	for (unsigned int i = 0; i < 64; i++) {
		back[14 + 20 + 1] = (uint8_t)i;
		queues[parse_len(back, sizeof(back), sizeof(back)).flow % 8]++;
	}
	for (unsigned int i = 0; i < 8; i++)
		assert_in_range(queues[i], 1, 24);
}

/* Every prefix of every frame, and bytes changed: offsets stay inside. */
static void test_cut_and_damaged(void **state)
{
	uint8_t frame[] = {ETH(0x8100), 0, 1, 0x86, 0xdd, IPV6(40, 0), 6, 0, 1, 4, 0, 0, 0, 0,
			   TCP(1, 2, 5, 0)};

	(void)state;
	for (size_t n = NET_ETH_HLEN; n <= sizeof(frame); n++) {
		for (size_t at = 12; at < n; at++) {
			uint8_t was = frame[at];

			for (unsigned int v = 0; v < 256; v += 15) {
				struct net_parse p;

				frame[at] = (uint8_t)v;
				p = parse_len(frame, n, n + 10);
				assert_true(p.l3_off <= n && p.l4_off <= n && p.payload_off <= n);
			}
			frame[at] = was;
		}
	}
}

static void test_frame_init(void **state)
{
	uint8_t mem[400], head[NET_HEAD_MAX], out[400];
	/* 12 bytes of a device's header over two segments, then the frame in odd pieces. */
	const struct net_seg seg[] = {
		{mem, 5}, {mem + 5, 0}, {mem + 5, 107}, {mem + 112, 60}, {mem + 172, 1}, {mem + 173, 227},
	};
	struct net_frame f;
	struct net_cursor c;

	(void)state;
	for (size_t i = 0; i < sizeof(mem); i++)
		mem[i] = (uint8_t)(i * 7);
	assert_int_equal(net_frame_init(&f, head, seg, 6, 12), 0);
	assert_int_equal(f.len, 388);
	assert_int_equal(f.head_len, NET_HEAD_MAX);
	assert_memory_equal(head, mem + 12, NET_HEAD_MAX);
	for (uint32_t step = 1; step <= 388; step += 13) {
		memset(out, 0, sizeof(out));
		net_cursor_init(&c, &f);
		for (uint32_t at = 0; at < 388; at += step)
			net_cursor_copy(&c, out + at, MIN(step, 388 - at));
		assert_memory_equal(out, mem + 12, 388);
	}
	/* The head is a copy: what happens to the sender's bytes afterwards does not matter. */
	mem[20] ^= 0xff;
	net_cursor_init(&c, &f);
	net_cursor_copy(&c, out, 20);
	assert_int_equal(out[8], (uint8_t)(20 * 7));
	/* Everything in the head; the shortest; too short; nothing; too long. */
	assert_int_equal(net_frame_init(&f, head, seg, 3, 12), 0);
	assert_int_equal(f.head_len, 100);
	assert_int_equal(net_frame_init(&f, head, seg, 3, 98), 0);
	assert_int_equal(f.len, 14);
	assert_int_equal(net_frame_init(&f, head, seg, 3, 99), -RAY_EPROTO);
	assert_int_equal(net_frame_init(&f, head, seg, 3, 113), -RAY_EPROTO);
	assert_int_equal(net_frame_init(&f, head, seg, 0, 0), -RAY_EPROTO);
	{
		struct net_seg big[] = {{mem, UINT32_MAX}, {mem, UINT32_MAX}, {mem, 2}};

		assert_int_equal(net_frame_init(&f, head, big, 3, 0), -RAY_E2BIG);
		big[0].len = NET_FRAME_MAX + 1;
		assert_int_equal(net_frame_init(&f, head, big, 1, 0), -RAY_E2BIG);
	}
}

static void test_mac(void **state)
{
	static const char *const bad[] = {
		"",		     "52:54:00:12:34:5",  "52:54:00:12:34:567", "52-54:00:12:34:56",
		"g2:54:00:12:34:56", "5 :54:00:12:34:56",
	};
	char text[NET_MAC_TEXT];
	uint8_t raw[6];
	uint64_t mac;

	(void)state;
	assert_int_equal(net_mac_parse("52:54:00:aB:34:5f", 17, &mac), 0);
	net_mac_store(raw, mac);
	assert_memory_equal(raw, "\x52\x54\x00\xab\x34\x5f", 6);
	assert_int_equal(net_mac_load(raw), mac);
	net_mac_format(text, mac);
	assert_string_equal(text, "52:54:00:ab:34:5f");
	assert_true(mac & NET_MAC_LOCAL);
	assert_false(mac & NET_MAC_GROUP);
	assert_int_equal(net_mac_parse("01:00:5e:00:00:01", 17, &mac), 0);
	assert_true(mac & NET_MAC_GROUP);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(net_mac_parse(bad[i], strlen(bad[i]), &mac), -RAY_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp4),
		cmocka_unit_test(test_ipv4_options_and_errors),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_ipv6_extensions),
		cmocka_unit_test(test_vlan_arp_other),
		cmocka_unit_test(test_flow),
		cmocka_unit_test(test_cut_and_damaged),
		cmocka_unit_test(test_frame_init),
		cmocka_unit_test(test_mac),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
