/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small qcow2 image, made as the format's description has it: clusters of 4 KiB, one plain, one
 * compressed, one of zeros, the rest none. Included by one .c of a test.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_QCOW2_H
#define RAYOS_TESTS_HOST_FAKE_QCOW2_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"
#include "kernel/store/image.h"

#define FAKE_QCOW2_BITS    12u
#define FAKE_QCOW2_CLUSTER (1u << FAKE_QCOW2_BITS)
#define FAKE_QCOW2_SIZE    (40u * FAKE_QCOW2_CLUSTER) /* of the disk in it */
#define FAKE_QCOW2_PLAIN   3u                         /* clusters of the disk */
#define FAKE_QCOW2_PACKED  5u
#define FAKE_QCOW2_ZERO    6u

struct fake_qcow2 {
	uint8_t file[8 * FAKE_QCOW2_CLUSTER];
	uint64_t size;
	long reads, fail_at;
};

static void fake_be64(uint8_t *p, uint64_t v)
{
	store64(p, __builtin_bswap64(v));
}

static void fake_be32(uint8_t *p, uint32_t v)
{
	store32(p, __builtin_bswap32(v));
}

/* What is in a cluster of the disk. */
static void fake_qcow2_fill(uint8_t *p, unsigned int cluster)
{
	for (unsigned int i = 0; i < FAKE_QCOW2_CLUSTER; i++)
		p[i] = (uint8_t)(i / 7 + cluster);
}

static voidpf fake_qcow2_alloc(voidpf opaque, uInt items, uInt size)
{
	(void)opaque;
	return calloc(items, size);
}

static void fake_qcow2_free(voidpf opaque, voidpf p)
{
	(void)opaque;
	free(p);
}

static void fake_qcow2_make(struct fake_qcow2 *q)
{
	uint8_t *h = q->file, *l2 = q->file + 2 * FAKE_QCOW2_CLUSTER;
	uint8_t plain[FAKE_QCOW2_CLUSTER];
	z_stream z = {.zalloc = fake_qcow2_alloc, .zfree = fake_qcow2_free};
	int ok;
	uint64_t packed = 4 * FAKE_QCOW2_CLUSTER + 100, len;

	memset(q, 0, sizeof(*q));
	q->size = sizeof(q->file);
	fake_be32(h, 0x514649fb);
	fake_be32(h + 4, 3);
	fake_be32(h + 20, FAKE_QCOW2_BITS);
	fake_be64(h + 24, FAKE_QCOW2_SIZE);
	fake_be32(h + 36, 1);
	fake_be64(h + 40, FAKE_QCOW2_CLUSTER);
	fake_be32(h + 100, 104);
	fake_be64(q->file + FAKE_QCOW2_CLUSTER, 2 * FAKE_QCOW2_CLUSTER | BIT(63));
	fake_be64(l2 + 8 * FAKE_QCOW2_PLAIN, 3 * FAKE_QCOW2_CLUSTER | BIT(63));
	fake_qcow2_fill(q->file + 3 * FAKE_QCOW2_CLUSTER, FAKE_QCOW2_PLAIN);
	fake_qcow2_fill(plain, FAKE_QCOW2_PACKED);
	ok = deflateInit2(&z, 9, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY);
	assert(ok == Z_OK);
	z.next_in = plain;
	z.avail_in = sizeof(plain);
	z.next_out = q->file + packed;
	z.avail_out = FAKE_QCOW2_CLUSTER;
	ok = deflate(&z, Z_FINISH);
	assert(ok == Z_STREAM_END);
	len = z.total_out;
	deflateEnd(&z);
	fake_be64(l2 + 8 * FAKE_QCOW2_PACKED,
		  BIT(62) | ((packed + len - 1) / 512 - packed / 512) << (62 - (FAKE_QCOW2_BITS - 8)) |
			  packed);
	fake_be64(l2 + 8 * FAKE_QCOW2_ZERO, 1);
}

static int fake_qcow2_read(void *ctx, uint64_t off, void *buf, uint64_t len)
{
	struct fake_qcow2 *q = ctx;

	assert(off <= q->size && len <= q->size - off);
	q->reads++;
	if (q->fail_at > 0 && --q->fail_at == 0)
		return -RAY_EIO;
	memcpy(buf, q->file + off, len);
	return 0;
}

static struct image_source fake_qcow2_source(struct fake_qcow2 *q)
{
	return (struct image_source){.ctx = q, .size = q->size, .read = fake_qcow2_read};
}

#endif
