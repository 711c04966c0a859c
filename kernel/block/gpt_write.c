/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GUID partition table written as a whole (UEFI 2.10, 5.3), and changed before that. Pure but for
 * the disk behind struct gpt_source.
 */
#include <string.h>
#include <zlib.h>

#include "kernel/block/gpt_priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"
#include "kernel/lib/utf8.h"

#define REVISION 0x10000u
#define ALIGN_BYTES MIB(1)

static uint64_t table_blocks(const struct gpt_source *s)
{
	return ALIGN_UP((uint64_t)GPT_PARTS_MAX * ENT_LEN, (uint64_t)s->logical) / s->logical;
}

/* Blocks that partitions may have. */
static uint64_t first_usable(const struct gpt_source *s)
{
	return 2 + table_blocks(s);
}

static uint64_t last_usable(const struct gpt_source *s)
{
	return s->blocks - 2 - table_blocks(s);
}

/* --- changing --- */

/* Is [first, first + blocks) nobody's? *next: where to look on. */
static bool is_free(const struct gpt *g, uint64_t first, uint64_t blocks, uint64_t *next)
{
	for (unsigned int i = 0; i < g->count; i++) {
		const struct gpt_part *p = &g->part[i];

		if (first < p->first + p->blocks && p->first < first + blocks) {
			*next = p->first + p->blocks;
			return false;
		}
	}
	return true;
}

/* Blocks that are free from @first on. */
static uint64_t free_from(const struct gpt *g, uint64_t first, uint64_t last)
{
	uint64_t end = last + 1;

	for (unsigned int i = 0; i < g->count; i++) {
		if (g->part[i].first >= first)
			end = MIN(end, g->part[i].first);
	}
	return end > first ? end - first : 0;
}

static unsigned int number_free(const struct gpt *g)
{
	for (unsigned int number = 1; number <= GPT_PARTS_MAX; number++) {
		bool taken = false;

		for (unsigned int i = 0; i < g->count; i++)
			taken |= g->part[i].number == number;
		if (!taken)
			return number;
	}
	return 0;
}

int gpt_add(const struct gpt_source *s, struct gpt *g, uint64_t bytes, struct gpt_part *p)
{
	uint64_t align = MAX(ALIGN_BYTES / s->logical, 1ull), last = last_usable(s);
	uint64_t blocks = MAX(bytes / s->logical, 1ull), at = first_usable(s);

	p->number = number_free(g);
	if (p->number == 0 || g->count == GPT_PARTS_MAX)
		return -RAY_ENOSPC;
	for (;;) {
		uint64_t next = 0;

		at = ALIGN_UP(at, align);
		if (at > last || (bytes && blocks > last - at + 1))
			return -RAY_ENOSPC;
		if (is_free(g, at, blocks, &next))
			break;
		at = next;
	}
	p->first = at;
	p->blocks = bytes ? blocks : free_from(g, at, last);
	g->part[g->count++] = *p;
	return 0;
}

int gpt_remove(struct gpt *g, unsigned int number)
{
	for (unsigned int i = 0; i < g->count; i++) {
		if (g->part[i].number != number)
			continue;
		g->part[i] = g->part[--g->count];
		return 0;
	}
	return -RAY_ENOENT;
}

/* --- on the disk --- */

static uint32_t character(const char *s, int len)
{
	static const uint8_t first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t c = (uint8_t)s[0] & first[len];

	for (int i = 1; i < len; i++)
		c = c << 6 | ((uint8_t)s[i] & 0x3fu);
	return c;
}

/* As much of the name as fits; what is no UTF-8 ends it. */
static void name_fill(const char *name, uint8_t *out)
{
	size_t left = strlen(name);
	unsigned int n = 0;

	while (left > 0) {
		int len = utf8_char_len(name, left);
		uint32_t c;

		if (len <= 0)
			return;
		c = character(name, len);
		if (n + (c > 0xffff ? 2u : 1u) > NAME_UNITS)
			return;
		if (c > 0xffff) {
			store16(out + 2ul * n++, (uint16_t)(0xd800u + ((c - 0x10000u) >> 10)));
			c = 0xdc00u + ((c - 0x10000u) & 0x3ffu);
		}
		store16(out + 2ul * n++, (uint16_t)c);
		name += len;
		left -= (size_t)len;
	}
}

static void entry_fill(const struct gpt_part *p, uint8_t *e)
{
	memcpy(e + ENT_TYPE, p->type.b, 16);
	memcpy(e + ENT_ID, p->id.b, 16);
	store64(e + ENT_FIRST, p->first);
	store64(e + ENT_LAST, p->first + p->blocks - 1);
	store64(e + ENT_ATTR, p->attributes);
	name_fill(p->name, e + ENT_NAME);
}

/* One block of entries. */
static void entries_fill(const struct gpt_source *s, const struct gpt *g, uint64_t block,
			 uint8_t *buf)
{
	unsigned int each = s->logical / ENT_LEN;

	memset(buf, 0, s->logical);
	for (unsigned int i = 0; i < g->count; i++) {
		unsigned int at = g->part[i].number - 1;

		if (at / each == block)
			entry_fill(&g->part[i], buf + (size_t)(at % each) * ENT_LEN);
	}
}

static uint32_t entries_crc(const struct gpt_source *s, const struct gpt *g, uint8_t *buf)
{
	uLong crc = crc32(0, NULL, 0);

	for (uint64_t i = 0; i < table_blocks(s); i++) {
		entries_fill(s, g, i, buf);
		crc = crc32(crc, buf, s->logical);
	}
	return (uint32_t)crc;
}

static int header_write(const struct gpt_source *s, const struct gpt *g, bool backup, uint8_t *buf)
{
	uint32_t crc = entries_crc(s, g, buf);
	uint64_t mine = backup ? s->blocks - 1 : 1;

	memset(buf, 0, s->logical);
	memcpy(buf, "EFI PART", 8);
	store32(buf + 8, REVISION);
	store32(buf + HDR_SIZE, HDR_LEN);
	store64(buf + HDR_MY_LBA, mine);
	store64(buf + HDR_ALTERNATE, backup ? 1 : s->blocks - 1);
	store64(buf + HDR_FIRST_USABLE, first_usable(s));
	store64(buf + HDR_LAST_USABLE, last_usable(s));
	memcpy(buf + HDR_DISK_GUID, g->disk.b, 16);
	store64(buf + HDR_ENTRIES_LBA, backup ? mine - table_blocks(s) : 2);
	store32(buf + HDR_ENTRIES, GPT_PARTS_MAX);
	store32(buf + HDR_ENTRY_SIZE, ENT_LEN);
	store32(buf + HDR_ENTRIES_CRC, crc);
	store32(buf + HDR_CRC, (uint32_t)crc32(0, buf, HDR_LEN));
	return s->write(s->ctx, mine, buf, 1);
}

/* A copy that is half written is damaged, and the other one whole: old or new. */
static int copy_write(const struct gpt_source *s, const struct gpt *g, bool backup, uint8_t *buf)
{
	uint64_t at = backup ? s->blocks - 1 - table_blocks(s) : 2;
	int err = 0;

	for (uint64_t i = 0; !err && i < table_blocks(s); i++) {
		entries_fill(s, g, i, buf);
		err = s->write(s->ctx, at + i, buf, 1);
	}
	if (!err)
		err = s->flush(s->ctx);
	if (!err)
		err = header_write(s, g, backup, buf);
	return err ? err : s->flush(s->ctx);
}

int gpt_write(const struct gpt_source *s, const struct gpt *g, void *buf)
{
	int err;

	if (s->blocks < 2 * table_blocks(s) + 4)
		return -RAY_ENOSPC;
	for (unsigned int i = 0; i < g->count; i++) {
		const struct gpt_part *p = &g->part[i];

		if (p->first < first_usable(s) || p->first > last_usable(s) ||
		    p->blocks > last_usable(s) - p->first + 1)
			return -RAY_ENOSPC;
	}
	err = copy_write(s, g, true, buf);
	if (!err)
		err = copy_write(s, g, false, buf);
	return err ? err : gpt_mbr_write(s, buf);
}
