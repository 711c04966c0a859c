/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/block/gpt_priv.h"

#include <string.h>
#include <zlib.h>

#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/unaligned.h"

static int damaged(const struct gpt_copy *c, const char *what)
{
	ray_snprintf(c->why, c->why_len, "%s header (block %lu): %s", c->name,
		     (unsigned long)c->lba, what);
	return -RAY_ENOEXEC;
}

/* A block that the disk cannot give is like one with something else in it: there are two. */
static int unreadable(const struct gpt_copy *c, int err, const char *what)
{
	return err == -RAY_EIO ? damaged(c, what) : err;
}

static int header_read(const struct gpt_copy *c, struct gpt_header *h)
{
	uint8_t *p = c->buf;
	int err = c->s->read(c->s->ctx, c->lba, p, 1);
	uint32_t size, crc;

	if (err)
		return unreadable(c, err, "it cannot be read");
	if (memcmp(p, "EFI PART", 8) != 0)
		return damaged(c, "no signature");
	size = load32(p + HDR_SIZE);
	if (size < HDR_LEN || size > c->s->logical)
		return damaged(c, "its size is out of bounds");
	crc = load32(p + HDR_CRC);
	store32(p + HDR_CRC, 0);
	if (crc32(0, p, size) != crc)
		return damaged(c, "its checksum does not match");
	if (load64(p + HDR_MY_LBA) != c->lba)
		return damaged(c, "it belongs to another block");
	*h = (struct gpt_header){
		.first_usable = load64(p + HDR_FIRST_USABLE),
		.last_usable = load64(p + HDR_LAST_USABLE),
		.entries_lba = load64(p + HDR_ENTRIES_LBA),
		.entries = load32(p + HDR_ENTRIES),
		.entry_size = load32(p + HDR_ENTRY_SIZE),
		.entries_crc = load32(p + HDR_ENTRIES_CRC),
	};
	memcpy(h->disk.b, p + HDR_DISK_GUID, sizeof(h->disk.b));
	return 0;
}

static int header_check(const struct gpt_copy *c, const struct gpt_header *h)
{
	uint64_t bytes = (uint64_t)h->entries * h->entry_size, blocks;

	if (h->entry_size < ENT_LEN || h->entry_size > ENTRY_MAX ||
	    (h->entry_size & (h->entry_size - 1)) != 0)
		return damaged(c, "entries of an impossible size");
	if (h->entries == 0 || bytes > TABLE_MAX)
		return damaged(c, "an impossible number of entries");
	blocks = ALIGN_UP(bytes, (uint64_t)c->s->logical) / c->s->logical;
	if (h->entries_lba < 2 || h->entries_lba >= c->s->blocks ||
	    blocks > c->s->blocks - h->entries_lba)
		return damaged(c, "its entries lie outside the disk");
	if (h->first_usable > h->last_usable || h->last_usable >= c->s->blocks)
		return damaged(c, "usable blocks outside the disk");
	return 0;
}

/* The character at unit @i, of one unit or two; '?' where there is none. */
static uint32_t character_at(const uint8_t *p, unsigned int i, unsigned int *units)
{
	uint16_t u = load16(p + 2ul * i), low = 0;

	*units = 1;
	if (i + 1 < NAME_UNITS)
		low = load16(p + 2ul * (i + 1));
	if (u >= 0xd800 && u < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
		*units = 2;
		return 0x10000u + ((u & 0x3ffu) << 10 | (low & 0x3ffu));
	}
	return u < 0x20 || u == 0x7f || (u >= 0xd800 && u < 0xe000) ? '?' : u;
}

static char *utf8_put(char *to, uint32_t c)
{
	unsigned int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	static const uint8_t first[] = {0, 0xc0, 0xe0, 0xf0};

	*to++ = (char)(first[more] | c >> (6 * more));
	while (more-- > 0)
		*to++ = (char)(0x80 | (c >> (6 * more) & 0x3f));
	return to;
}

/* UTF-16 as UTF-8. */
static void name_read(const uint8_t *p, char *out)
{
	unsigned int units;
	char *to = out;

	for (unsigned int i = 0; i < NAME_UNITS && load16(p + 2ul * i) != 0; i += units) {
		uint32_t c = character_at(p, i, &units);

		to = utf8_put(to, c);
	}
	*to = '\0';
}

BUILD_ASSERT(NAME_UNITS * 3 + 1 <= GPT_NAME_LEN, "a name's longest form");

static int entry_damaged(const struct gpt_copy *c, unsigned int number, const char *what)
{
	ray_snprintf(c->why, c->why_len, "partition %u of the %s table: %s", number, c->name, what);
	return -RAY_ENOEXEC;
}

static int entry_take(const struct gpt_copy *c, const struct gpt_header *h, const uint8_t *p,
		      unsigned int number, struct gpt *out)
{
	static const struct gpt_guid none;
	struct gpt_part *part = &out->part[out->count];
	uint64_t first = load64(p + ENT_FIRST), last = load64(p + ENT_LAST);

	if (memcmp(p + ENT_TYPE, none.b, sizeof(none.b)) == 0)
		return 0;
	if (out->count == GPT_PARTS_MAX)
		return entry_damaged(c, number, "more than 128 partitions");
	if (first > last || first < h->first_usable || last > h->last_usable)
		return entry_damaged(c, number, "outside the usable blocks");
	for (unsigned int i = 0; i < out->count; i++) {
		const struct gpt_part *o = &out->part[i];

		if (first < o->first + o->blocks && o->first <= last)
			return entry_damaged(c, number, "it overlaps another one");
	}
	part->number = number;
	memcpy(part->type.b, p + ENT_TYPE, sizeof(part->type.b));
	memcpy(part->id.b, p + ENT_ID, sizeof(part->id.b));
	part->first = first;
	part->blocks = last - first + 1;
	part->attributes = load64(p + ENT_ATTR);
	name_read(p + ENT_NAME, part->name);
	out->count++;
	return 0;
}

/* Twice: their checksum first, so that nothing is looked at that is not whole. */
static int entries_walk(const struct gpt_copy *c, const struct gpt_header *h, struct gpt *out,
			uint32_t *crc)
{
	uint64_t left = (uint64_t)h->entries * h->entry_size, lba = h->entries_lba;
	uint32_t step = GPT_SCRATCH / c->s->logical;
	unsigned int number = 1;

	while (left > 0) {
		uint64_t bytes = MIN(left, (uint64_t)GPT_SCRATCH);
		uint32_t blocks = (uint32_t)(ALIGN_UP(bytes, (uint64_t)c->s->logical) / c->s->logical);
		int err = c->s->read(c->s->ctx, lba, c->buf, blocks);

		if (err)
			return unreadable(c, err, "its entries cannot be read");
		*crc = (uint32_t)crc32(*crc, c->buf, (uInt)bytes);
		for (uint64_t at = 0; out && at < bytes; at += h->entry_size) {
			err = entry_take(c, h, c->buf + at, number++, out);
			if (err)
				return err;
		}
		lba += step;
		left -= bytes;
	}
	return 0;
}

int gpt_copy_read(const struct gpt_copy *c, struct gpt *out, struct gpt_header *h)
{
	uint32_t crc = 0, again = 0;
	int err = header_read(c, h);

	if (!err)
		err = header_check(c, h);
	if (!err)
		err = entries_walk(c, h, NULL, &crc);
	if (err)
		return err;
	if (crc != h->entries_crc)
		return damaged(c, "the checksum of its entries does not match");
	out->count = 0;
	out->disk = h->disk;
	err = entries_walk(c, h, out, &again);
	if (!err && again != crc)
		return damaged(c, "its entries change while they are read");
	return err;
}

int gpt_mbr_read(const struct gpt_source *s, uint8_t *buf, bool *protective, bool *other)
{
	int err = s->read(s->ctx, 0, buf, 1);

	*protective = *other = false;
	if (err == -RAY_EIO)
		return 0;
	if (err || load16(buf + MBR_SIGNATURE) != 0xaa55)
		return err;
	for (unsigned int i = 0; i < 4; i++) {
		uint8_t type = buf[MBR_ENTRY + i * MBR_ENTRY_LEN + MBR_OS_TYPE];

		*protective |= type == MBR_GPT;
		*other |= type != 0 && type != MBR_GPT;
	}
	return 0;
}

int gpt_read(const struct gpt_source *s, struct gpt *out, void *buf, char *why, size_t why_len)
{
	char second[sizeof(out->damage)] = "";
	const struct gpt_copy primary = {s, "primary", 1, buf, why, why_len};
	const struct gpt_copy backup = {s, "backup", s->blocks - 1, buf, second, sizeof(second)};
	struct gpt_header h;
	bool protective, other;
	int err, err2;

	memset(out, 0, sizeof(*out));
	ray_snprintf(why, why_len, "the disk is too small");
	if (s->blocks < 6)
		return -RAY_ENOENT;
	ray_snprintf(why, why_len, "it cannot be read");
	err = gpt_mbr_read(s, buf, &protective, &other);
	if (err)
		return err;
	/* The backup first, to know whether it would do; what it says is kept if it must. */
	err2 = gpt_copy_read(&backup, out, &h);
	err = gpt_copy_read(&primary, out, &h);
	if (!err) {
		strlcpy(out->damage, protective ? second : "no protective MBR",
			sizeof(out->damage));
		return 0;
	}
	if (err != -RAY_ENOEXEC)
		return err;
	if (!err2)
		err2 = gpt_copy_read(&backup, out, &h);
	if (!err2) {
		out->backup = true;
		strlcpy(out->damage, why, sizeof(out->damage));
		return 0;
	}
	if (!protective || other) {
		ray_snprintf(why, why_len, other ? "it has an MBR's table" : "it has no table");
		return -RAY_ENOENT;
	}
	return err;
}

void gpt_guid_text(const struct gpt_guid *g, char *out)
{
	const uint8_t *b = g->b;

	ray_snprintf(out, GPT_TEXT_LEN, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		     load32(b), load16(b + 4), load16(b + 6), b[8], b[9], b[10], b[11], b[12],
		     b[13], b[14], b[15]);
}

/* 7a0b6e52-3c3d-4f58-9c1e-5d2f8a4e91c7 */
const struct gpt_guid gpt_type_rayos = {{0x52, 0x6e, 0x0b, 0x7a, 0x3d, 0x3c, 0x58, 0x4f, 0x9c,
					 0x1e, 0x5d, 0x2f, 0x8a, 0x4e, 0x91, 0xc7}};

static const struct {
	struct gpt_guid type;
	const char *name;
} known[] = {
	{{{0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9,
	   0x3e, 0xc9, 0x3b}}, "efi-system"},
	{{{0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8,
	   0x47, 0x7d, 0xe4}}, "linux"},
	{{{0x6d, 0xfd, 0x57, 0x06, 0xab, 0xa4, 0xc4, 0x43, 0x84, 0xe5, 0x09, 0x33, 0xc8,
	   0x4b, 0x4f, 0x4f}}, "linux-swap"},
	{{{0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44, 0x87, 0xc0, 0x68, 0xb6, 0xb7,
	   0x26, 0x99, 0xc7}}, "basic-data"},
	{{{0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e, 0x74, 0x4e, 0x65, 0x65, 0x64,
	   0x45, 0x46, 0x49}}, "bios-boot"},
};

const char *gpt_type_name(const struct gpt_guid *type)
{
	if (memcmp(type, &gpt_type_rayos, sizeof(*type)) == 0)
		return "rayos";
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (memcmp(type, &known[i].type, sizeof(*type)) == 0)
			return known[i].name;
	}
	return "";
}

bool gpt_type_find(const char *name, struct gpt_guid *out)
{
	*out = gpt_type_rayos;
	if (strcmp(name, "rayos") == 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(name, known[i].name) != 0)
			continue;
		*out = known[i].type;
		return true;
	}
	return false;
}
