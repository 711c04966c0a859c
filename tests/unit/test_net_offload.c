/* UNIT: net/offload.c net/csum.c net/parse.c net/frame.c kernel/lib/fmt.c kernel/lib/sink.c */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/csum.h"
#include "net/offload.h"

/*
 * What must come out, made by another program. 25 bytes of payload in segments of 10; sequence
 * numbers and the IPv4 identification wrap; CWR in the first, PSH and FIN in the last only.
 */
static const char v4_0[] =
	"525400000002525400000001080045020032ffff400040064e88c0000201c633640712340050fffffff81122"
	"3344509020004721000030313233343536373839";
static const char v4_1[] =
	"5254000000025254000000010800450200320000400040064e88c0000201c633640712340050000000021122"
	"334450102000156600003a3b3c3d3e3f40414243";
static const char v4_2[] =
	"52540000000252540000000108004502002d0001400040064e8cc0000201c6336407123400500000000c1122"
	"3344501920007a0700004445464748";
static const char v6_0[] =
	"52540000000252540000000186dd60200000002a064020010db800000000000000000000000120010db80000"
	"000000000000000000ff12340050fffffff811223344809020009dd100000101080a00000001000000023031"
	"3233343536373839";
static const char v6_1[] =
	"52540000000252540000000186dd60200000002a064020010db800000000000000000000000120010db80000"
	"000000000000000000ff123400500000000211223344801020006c1600000101080a00000001000000023a3b"
	"3c3d3e3f40414243";
static const char v6_2[] =
	"52540000000252540000000186dd602000000025064020010db800000000000000000000000120010db80000"
	"000000000000000000ff123400500000000c1122334480192000d0b700000101080a00000001000000024445"
	"464748";
static const char udp[] =
	"5254000000025254000000010800450001350001000040118d7bc0000201c6336407003514e90121d0a76865"
	"6c6c6f2c206e6574776f726b68656c6c6f2c206e6574776f726b68656c6c6f2c206e6574776f726b68656c6c"
	"6f2c206e6574776f726b68656c6c6f2c206e6574776f726b68656c6c6f2c206e6574776f726b68656c6c6f2c"
	"206e6574776f726b68656c6c6f2c206e6574776f726b68656c6c6f2c206e6574776f726b68656c6c6f2c206e"
	"6574776f726b68656c6c6f2c206e6574776f726b68656c6c6f2c206e6574776f726b68656c6c6f2c206e6574"
	"776f726b68656c6c6f2c206e6574776f726b68656c6c6f2c206e6574776f726b68656c6c6f2c206e6574776f"
	"726b68656c6c6f2c206e6574776f726b68656c6c6f2c206e6574776f726b68656c6c6f2c206e6574776f726b"
	"68656c6c6f2c206e6574776f726b21";

static size_t unhex(const char *text, uint8_t *out)
{
	size_t n = strlen(text) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned int v;

		sscanf(text + 2 * i, "%2x", &v);
		out[i] = (uint8_t)v;
	}
	return n;
}

/* A frame as a device makes it: the head copied, the rest in pieces of @piece bytes. */
struct sent {
	uint8_t mem[2048], head[NET_HEAD_MAX];
	struct net_seg seg[2048];
	struct net_frame f;
};

static void sent_init(struct sent *s, size_t len, size_t piece)
{
	uint32_t n = 0;

	for (size_t at = 0; at < len; at += piece)
		s->seg[n++] = (struct net_seg){s->mem + at, (uint32_t)MIN(piece, len - at)};
	assert_int_equal(net_frame_init(&s->f, s->head, s->seg, n, 0), 0);
	net_parse(s->head, s->f.head_len, s->f.len, &s->f.parse);
}

static void csum_at(struct sent *s, uint16_t start, uint16_t offset)
{
	s->f.flags = NET_F_NEEDS_CSUM;
	s->f.csum_start = start;
	s->f.csum_offset = offset;
}

/* What comes out, flattened. */
struct got {
	unsigned int count, stop_at;
	size_t len[64];
	uint8_t bytes[64][2048];
	struct net_frame f[64];
};

static int take(const struct net_frame *f, void *arg)
{
	struct got *g = arg;
	struct net_cursor c;

	assert_true(g->count < 64);
	net_cursor_init(&c, f);
	net_cursor_copy(&c, g->bytes[g->count], f->len);
	g->len[g->count] = f->len;
	g->f[g->count] = *f;
	return ++g->count == g->stop_at ? -RAY_ENOSPC : 0;
}

static void expect(const struct got *g, unsigned int i, const char *want)
{
	uint8_t raw[2048];
	size_t n = unhex(want, raw);

	assert_int_equal(g->len[i], n);
	assert_memory_equal(g->bytes[i], raw, n);
}

/* The frame that should become those segments: headers of the last with all its flags. */
static void tso_frame(struct sent *s, const char *const part[3], size_t hdr, size_t piece)
{
	uint8_t raw[256];
	size_t len = unhex(part[0], s->mem);

	for (unsigned int i = 1; i < 3; i++) {
		size_t n = unhex(part[i], raw);

		memcpy(s->mem + len, raw + hdr, n - hdr);
		len += n - hdr;
	}
	s->mem[part[0] == v4_0 ? 34 + 13 : 54 + 13] = 0x99;
	/* Not relied on: total length, checksums. */
	if (part[0] == v4_0) {
		s->mem[16] = 0;
		s->mem[17] = (uint8_t)(len - 14);
		s->mem[24] ^= 0x55;
		s->mem[34 + 16] ^= 0x55;
	} else {
		s->mem[19] = (uint8_t)(len - 54);
		s->mem[54 + 17] ^= 0x55;
	}
	sent_init(s, len, piece);
	s->f.gso_size = 10;
}

static void test_sum(void **state)
{
	/* RFC 1071, 3. */
	static const uint8_t rfc[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	static const uint8_t sum[] = {0xdd, 0xf2};
	struct net_csum c = {.sum = 0};
	uint8_t big[301];
	uint16_t v;

	(void)state;
	net_csum_add(&c, rfc, sizeof(rfc));
	v = net_csum_fold(&c);
	assert_memory_equal(&v, sum, 2);
	/* Any cut into pieces gives the same. */
	memset(big, 0xff, sizeof(big));
	for (size_t i = 0; i < sizeof(big); i += 3)
		big[i] = (uint8_t)i;
	c = (struct net_csum){.sum = 0};
	net_csum_add(&c, big, sizeof(big));
	v = net_csum_fold(&c);
	for (uint32_t a = 0; a <= sizeof(big); a++) {
		c = (struct net_csum){.sum = 0};
		net_csum_add(&c, big, a);
		net_csum_add(&c, big + a, (sizeof(big) - a) / 2);
		net_csum_add(&c, big + a + (sizeof(big) - a) / 2, (uint32_t)(sizeof(big) - a + 1) / 2);
		assert_int_equal(net_csum_fold(&c), v);
	}
}

static void test_complete(void **state)
{
	static const uint8_t pseudo[] = {192, 0, 2, 1, 198, 51, 100, 7, 0, 17};
	struct sent s;
	struct got *g = calloc(1, sizeof(*g));
	size_t len;

	(void)state;
	assert_non_null(g);
	for (size_t piece = 1; piece < 400; piece += 37) {
		struct net_csum c = {.sum = 0};
		uint16_t v;

		len = unhex(udp, s.mem);
		net_csum_add(&c, pseudo, sizeof(pseudo));
		net_csum_add(&c, s.mem + 38, 2);
		v = net_csum_fold(&c);
		memcpy(s.mem + 40, &v, 2);
		sent_init(&s, len, piece);
		csum_at(&s, 34, 6);
		assert_int_equal(net_offload_check(&s.f), 0);
		assert_int_equal(s.f.needs, NET_CAP_CSUM);
		g->count = 0;
		assert_int_equal(net_offload_adapt(&s.f, 0, take, g), 0);
		assert_int_equal(g->count, 1);
		expect(g, 0, udp);
		assert_int_equal(g->f[0].flags, 0);
		/* Who can, gets it as it is. */
		g->count = 0;
		assert_true(net_offload_fits(&s.f, NET_CAP_CSUM));
		assert_int_equal(net_offload_adapt(&s.f, NET_CAP_CSUM, take, g), 0);
		assert_memory_equal(g->bytes[0], s.mem, len);
		assert_int_equal(g->f[0].flags, NET_F_NEEDS_CSUM);
	}
	/* A sum of 0xffff would be stored as 0, which to UDP means none. */
	memset(s.mem + 42, 0, len - 42);
	memset(s.mem + 34, 0, 8);
	s.mem[40] = s.mem[41] = 0xff;
	sent_init(&s, len, 100);
	csum_at(&s, 34, 6);
	assert_int_equal(net_offload_check(&s.f), 0);
	g->count = 0;
	assert_int_equal(net_offload_adapt(&s.f, 0, take, g), 0);
	assert_memory_equal(g->bytes[0] + 40, "\xff\xff", 2);
	free(g);
}

static void segments(const char *const part[3], size_t hdr, size_t l4, uint8_t type, unsigned int cap)
{
	struct got *g = calloc(1, sizeof(*g));
	struct sent s;

	assert_non_null(g);
	for (size_t piece = 1; piece < 120; piece++) {
		tso_frame(&s, part, hdr, piece);
		s.f.gso_type = type;
		csum_at(&s, (uint16_t)l4, 16);
		assert_int_equal(net_offload_check(&s.f), 0);
		assert_int_equal(s.f.needs, NET_CAP_CSUM | cap | NET_CAP_ECN);
		assert_int_equal(s.f.gso_type, type | NET_GSO_ECN);
		assert_int_equal(s.f.hdr_len, hdr);
		/* Without any offload; with TSO, but none that knows ECN. */
		for (unsigned int round = 0; round < 2; round++) {
			g->count = 0;
			assert_int_equal(net_offload_adapt(&s.f, round ? cap : 0, take, g), 0);
			assert_int_equal(g->count, 3);
			for (unsigned int i = 0; i < 3; i++) {
				expect(g, i, part[i]);
				assert_int_equal(g->f[i].flags, 0);
				assert_int_equal(g->f[i].gso_type, 0);
			}
		}
		/* With checksums left to the receiver, the same after completing them. */
		g->count = 0;
		assert_int_equal(net_offload_adapt(&s.f, NET_CAP_CSUM | cap, take, g), 0);
		assert_int_equal(g->count, 3);
		assert_int_equal(g->f[1].flags, NET_F_NEEDS_CSUM);
		assert_int_equal(g->f[1].csum_start, l4);
		{
			struct net_csum c = {.sum = 0};
			uint16_t v;

			net_csum_add(&c, g->bytes[1] + l4, (uint32_t)(g->len[1] - l4));
			v = net_csum_finish(&c);
			memcpy(g->bytes[1] + l4 + 16, &v, 2);
		}
		expect(g, 1, part[1]);
		/* All offloads: as it is. A receiver that has enough is not asked again. */
		g->count = 0;
		assert_int_equal(net_offload_adapt(&s.f, s.f.needs, take, g), 0);
		assert_int_equal(g->count, 1);
		assert_int_equal(g->len[0], hdr + 25);
		g->count = 0;
		g->stop_at = 2;
		assert_int_equal(net_offload_adapt(&s.f, 0, take, g), -RAY_ENOSPC);
		assert_int_equal(g->count, 2);
		g->stop_at = 0;
	}
	free(g);
}

static void test_segments(void **state)
{
	static const char *const four[] = {v4_0, v4_1, v4_2}, *const six[] = {v6_0, v6_1, v6_2};

	(void)state;
	segments(four, 54, 34, NET_GSO_TCPV4, NET_CAP_TSO4);
	segments(six, 86, 54, NET_GSO_TCPV6, NET_CAP_TSO6);
}

/* Payload longer than the head, every segment size. */
static void test_segment_sizes(void **state)
{
	struct got *g = calloc(1, sizeof(*g));
	struct sent s;

	(void)state;
	assert_non_null(g);
	for (uint16_t size = 20; size < 700; size += 17) {
		static const char *const four[] = {v4_0, v4_1, v4_2};
		size_t len = 54 + 600, at = 0;

		tso_frame(&s, four, 54, 50);
		for (size_t i = 54; i < len; i++)
			s.mem[i] = (uint8_t)(i * 31);
		s.mem[16] = (len - 14) >> 8;
		s.mem[17] = (len - 14) & 0xff;
		sent_init(&s, len, 1 + size / 3);
		s.f.gso_type = NET_GSO_TCPV4;
		s.f.gso_size = size;
		csum_at(&s, 34, 16);
		assert_int_equal(net_offload_check(&s.f), 0);
		g->count = 0;
		assert_int_equal(net_offload_adapt(&s.f, 0, take, g), 0);
		assert_int_equal(g->count, (600 + size - 1) / size);
		for (unsigned int i = 0; i < g->count; i++) {
			size_t n = g->len[i] - 54;

			assert_int_equal(n, MIN(size, 600 - at));
			assert_memory_equal(g->bytes[i] + 54, s.mem + 54 + at, n);
			at += n;
		}
		assert_int_equal(at, 600);
	}
	free(g);
}

static void reset(struct sent *s)
{
	static const char *const four[] = {v4_0, v4_1, v4_2};

	tso_frame(s, four, 54, 60);
	csum_at(s, 34, 16);
	s->f.gso_type = NET_GSO_TCPV4;
	assert_int_equal(net_offload_check(&s->f), 0);
	s->f.gso_type = NET_GSO_TCPV4;
}

#define REFUSED(change)                                                                         \
	do {                                                                                    \
		reset(&s);                                                                      \
		change;                                                                         \
		assert_int_equal(net_offload_check(&s.f), -RAY_EPROTO);                         \
	} while (0)
#define TAKEN(change)                                                                           \
	do {                                                                                    \
		reset(&s);                                                                      \
		change;                                                                         \
		assert_int_equal(net_offload_check(&s.f), 0);                                   \
	} while (0)

static void test_metadata(void **state)
{
	struct sent s;

	(void)state;
	/* GSO without a partial checksum, of unknown kinds, of the other IP, with sizes of none. */
	REFUSED(s.f.flags = 0);
	REFUSED(s.f.gso_type = NET_GSO_TCPV6);
	REFUSED(s.f.gso_type = 3);
	REFUSED(s.f.gso_type = 5);
	REFUSED(s.f.gso_type = NET_GSO_ECN);
	REFUSED(s.f.gso_size = 0);
	REFUSED(s.f.gso_size = NET_GSO_SIZE_MIN - 1);
	TAKEN(s.f.gso_size = NET_GSO_SIZE_MIN);
	TAKEN(s.f.gso_size = 0xffff - 40);
	REFUSED(s.f.gso_size = 0xffff - 39); /* no IP packet is as long as that segment */
	REFUSED(s.f.len = 54; s.f.head_len = 54);
	REFUSED(s.f.parse.l4 = NET_L4_UDP);
	REFUSED(s.f.parse.flags = NET_P_BAD);
	REFUSED(s.f.parse.flags = NET_P_FRAGMENT);
	REFUSED(s.f.parse.flags = NET_P_ROUTED);
	/* A checksum that would land on ports, addresses or outside the private copy. */
	REFUSED(s.f.csum_offset = 2);
	REFUSED(s.f.csum_offset = 0xffff);
	REFUSED(s.f.csum_start = 14);
	REFUSED(s.f.csum_start = 0; s.f.gso_type = 0);
	REFUSED(s.f.csum_start = 0xffff);
	REFUSED(s.f.csum_start = 30; s.f.csum_offset = 20; s.f.gso_type = 0);
	REFUSED(s.f.gso_type = 0; s.f.csum_start = (uint16_t)s.f.head_len; s.f.csum_offset = 0);
	/* Behind all headers is fine: a tunnel's inner packet. But not for TSO. */
	TAKEN(s.f.gso_type = 0; s.f.csum_start = 54; s.f.csum_offset = 6);
	REFUSED(s.f.csum_start = 54; s.f.csum_offset = 6);
	/* Metadata a guest made up is replaced. */
	TAKEN(s.f.hdr_len = 0xffff);
	assert_int_equal(s.f.hdr_len, 54);
	TAKEN(s.f.gso_type = NET_GSO_TCPV4 | NET_GSO_ECN; s.f.parse.tcp_flags = 0);
	assert_int_equal(s.f.gso_type, NET_GSO_TCPV4);
	assert_int_equal(s.f.needs, NET_CAP_CSUM | NET_CAP_TSO4);
	TAKEN(s.f.gso_type = 0; s.f.flags = 0);
	assert_int_equal(s.f.needs, 0);
	assert_int_equal(s.f.hdr_len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_segment_sizes),
		cmocka_unit_test(test_metadata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
