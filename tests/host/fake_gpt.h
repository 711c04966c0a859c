/* SPDX-License-Identifier: Apache-2.0 */
/* Partition tables made in memory, whole and with both copies, for tests to damage. */
#ifndef RAYOS_TESTS_HOST_FAKE_GPT_H
#define RAYOS_TESTS_HOST_FAKE_GPT_H

#include <string.h>
#include <zlib.h>

#include "kernel/block/gpt.h"
#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"

#define FAKE_GPT_BLOCKS 256u

struct fake_gpt {
	uint32_t logical;
	uint8_t disk[FAKE_GPT_BLOCKS * 4096u];
	int error;            /* what reading @error_at gives */
	uint64_t error_at;
	unsigned int reads;
	unsigned int writes, write_error_at; /* n: the n-th write from now fails, and all after it */
	bool written_since_flush[FAKE_GPT_BLOCKS];
};

static uint8_t *fake_gpt_block(struct fake_gpt *g, uint64_t n)
{
	return g->disk + n * g->logical;
}

static int fake_gpt_read(void *ctx, uint64_t block, void *buf, uint32_t count)
{
	struct fake_gpt *g = ctx;

	g->reads++;
	if (block >= FAKE_GPT_BLOCKS || count > FAKE_GPT_BLOCKS - block)
		return -RAY_ERANGE;
	if (g->error && g->error_at >= block && g->error_at < block + count)
		return g->error;
	memcpy(buf, fake_gpt_block(g, block), (size_t)count * g->logical);
	return 0;
}

static int fake_gpt_write(void *ctx, uint64_t block, const void *buf, uint32_t count)
{
	struct fake_gpt *g = ctx;

	g->writes++;
	if (g->write_error_at > 0 && g->writes >= g->write_error_at)
		return -RAY_EIO;
	if (block >= FAKE_GPT_BLOCKS || count > FAKE_GPT_BLOCKS - block)
		return -RAY_ERANGE;
	memcpy(fake_gpt_block(g, block), buf, (size_t)count * g->logical);
	for (uint32_t i = 0; i < count; i++)
		g->written_since_flush[block + i] = true;
	return 0;
}

static int fake_gpt_flush(void *ctx)
{
	struct fake_gpt *g = ctx;

	memset(g->written_since_flush, 0, sizeof(g->written_since_flush));
	return 0;
}

static struct gpt_source fake_gpt_source(struct fake_gpt *g)
{
	return (struct gpt_source){.ctx = g, .logical = g->logical, .blocks = FAKE_GPT_BLOCKS,
				   .read = fake_gpt_read, .write = fake_gpt_write,
				   .flush = fake_gpt_flush};
}

/* Make the checksums of a header right, whatever is in it. */
static void fake_gpt_seal(struct fake_gpt *g, uint64_t header)
{
	uint8_t *h = fake_gpt_block(g, header);
	uint64_t at = load64(h + 72) * g->logical, len = (uint64_t)load32(h + 80) * load32(h + 84);

	if (at <= sizeof(g->disk) && len <= sizeof(g->disk) - at)
		store32(h + 88, (uint32_t)crc32(0, g->disk + at, (uInt)len));
	store32(h + 16, 0);
	store32(h + 16, (uint32_t)crc32(0, h, load32(h + 12) <= g->logical ? load32(h + 12) : 92));
}

static void fake_gpt_header(struct fake_gpt *g, uint64_t mine, uint64_t other, uint64_t entries)
{
	uint8_t *h = fake_gpt_block(g, mine);

	memcpy(h, "EFI PART", 8);
	store32(h + 8, 0x10000);
	store32(h + 12, 92);
	store64(h + 24, mine);
	store64(h + 32, other);
	store64(h + 40, 40);
	store64(h + 48, FAKE_GPT_BLOCKS - 41);
	memset(h + 56, 0x11, 16);
	store64(h + 72, entries);
	store32(h + 80, 128);
	store32(h + 84, 128);
	fake_gpt_seal(g, mine);
}

static uint8_t *fake_gpt_entry(struct fake_gpt *g, bool backup, unsigned int number)
{
	uint64_t blocks = 128u * 128u / g->logical;

	return fake_gpt_block(g, backup ? FAKE_GPT_BLOCKS - 1 - blocks : 2) + (number - 1) * 128u;
}

static void fake_gpt_part(struct fake_gpt *g, unsigned int number, uint64_t first, uint64_t last,
			  const char *name)
{
	for (int copy = 0; copy < 2; copy++) {
		uint8_t *e = fake_gpt_entry(g, copy, number);

		memcpy(e, &gpt_type_rayos, 16);
		memset(e + 16, (int)number, 16);
		store64(e + 32, first);
		store64(e + 40, last);
		for (size_t i = 0; i < strlen(name) && i < 36; i++)
			store16(e + 56 + 2 * i, (uint8_t)name[i]);
	}
}

static __unused void fake_gpt_seal_both(struct fake_gpt *g)
{
	fake_gpt_seal(g, 1);
	fake_gpt_seal(g, FAKE_GPT_BLOCKS - 1);
}

static __unused void fake_gpt_make(struct fake_gpt *g, uint32_t logical)
{
	uint64_t blocks = 128u * 128u / logical;
	uint8_t *mbr;

	memset(g, 0, sizeof(*g));
	g->logical = logical;
	mbr = fake_gpt_block(g, 0);
	mbr[446 + 4] = 0xee;
	store16(mbr + 510, 0xaa55);
	fake_gpt_part(g, 1, 40, 99, "store");
	fake_gpt_part(g, 5, 100, 100, "one block");
	fake_gpt_header(g, 1, FAKE_GPT_BLOCKS - 1, 2);
	fake_gpt_header(g, FAKE_GPT_BLOCKS - 1, 1, FAKE_GPT_BLOCKS - 1 - blocks);
}

#endif
