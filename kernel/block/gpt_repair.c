/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of a GUID partition table made anew from the other one (UEFI 2.10, 5.3.2). Pure but for
 * the disk behind struct gpt_source.
 */
#include <string.h>
#include <zlib.h>

#include "kernel/block/gpt_priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/unaligned.h"

#define MBR_BOOT_LEN   446u
#define MBR_CHS_FIRST  0x000200u /* the second sector */
#define MBR_CHS_LAST   0xffffffu

/* Where the copy that is made goes. */
struct target {
	uint64_t header, entries, other; /* blocks: its header, its entries, the other header */
};

static uint64_t entry_blocks(const struct gpt_source *s, const struct gpt_header *h)
{
	uint64_t bytes = (uint64_t)h->entries * h->entry_size;

	return ALIGN_UP(bytes, (uint64_t)s->logical) / s->logical;
}

static int entries_copy(const struct gpt_source *s, const struct gpt_header *h, uint64_t to,
			void *buf)
{
	uint64_t left = entry_blocks(s, h), from = h->entries_lba;
	int err = 0;

	while (left > 0 && !err) {
		uint32_t n = (uint32_t)MIN(left, (uint64_t)GPT_SCRATCH / s->logical);

		err = s->read(s->ctx, from, buf, n);
		if (!err)
			err = s->write(s->ctx, to, buf, n);
		from += n;
		to += n;
		left -= n;
	}
	return err;
}

static int header_copy(const struct gpt_source *s, uint64_t from, const struct target *t,
		       uint8_t *buf)
{
	int err = s->read(s->ctx, from, buf, 1);

	if (err)
		return err;
	store64(buf + HDR_MY_LBA, t->header);
	store64(buf + HDR_ALTERNATE, t->other);
	store64(buf + HDR_ENTRIES_LBA, t->entries);
	store32(buf + HDR_CRC, 0);
	store32(buf + HDR_CRC, (uint32_t)crc32(0, buf, load32(buf + HDR_SIZE)));
	return s->write(s->ctx, t->header, buf, 1);
}

/* Entries first: a header that is there has them. */
static int copy_make(const struct gpt_source *s, const struct gpt_header *from, uint64_t from_lba,
		     const struct target *t, uint8_t *buf)
{
	int err = entries_copy(s, from, t->entries, buf);

	if (!err)
		err = s->flush(s->ctx);
	if (!err)
		err = header_copy(s, from_lba, t, buf);
	return err ? err : s->flush(s->ctx);
}

static int primary_make(const struct gpt_source *s, const struct gpt_header *h, uint8_t *buf,
			char *what, size_t what_len)
{
	const struct target t = {.header = 1, .entries = 2, .other = s->blocks - 1};

	ray_snprintf(what, what_len, "no room before the first partition");
	if (2 + entry_blocks(s, h) > h->first_usable)
		return -RAY_ENOSPC;
	ray_snprintf(what, what_len, "the primary table was written anew from the backup");
	return copy_make(s, h, s->blocks - 1, &t, buf);
}

static int backup_make(const struct gpt_source *s, const struct gpt_header *h, uint8_t *buf,
		       char *what, size_t what_len)
{
	uint64_t n = entry_blocks(s, h);
	const struct target t = {.header = s->blocks - 1, .entries = s->blocks - 1 - n, .other = 1};
	const struct target self = {.header = 1, .entries = h->entries_lba, .other = t.header};
	int err;

	ray_snprintf(what, what_len, "no room behind the last partition");
	if (t.entries <= h->last_usable)
		return -RAY_ENOSPC;
	ray_snprintf(what, what_len, "the backup table was written anew from the primary");
	err = copy_make(s, h, 1, &t, buf);
	/* On a disk that has grown the primary says that the backup is elsewhere. */
	if (!err)
		err = header_copy(s, 1, &self, buf);
	return err ? err : s->flush(s->ctx);
}

/* One partition over all of the disk, as far as 32 bits go (table 5.4). What boots stays. */
int gpt_mbr_write(const struct gpt_source *s, uint8_t *buf)
{
	uint8_t *e = buf + MBR_ENTRY;
	int err = s->read(s->ctx, 0, buf, 1);

	if (err)
		return err;
	memset(buf + MBR_BOOT_LEN, 0, MBR_SIGNATURE - MBR_BOOT_LEN);
	store32(e, MBR_CHS_FIRST << 8);
	store32(e + MBR_OS_TYPE, MBR_GPT | MBR_CHS_LAST << 8);
	store32(e + 8, 1);
	store32(e + 12, (uint32_t)MIN(s->blocks - 1, (uint64_t)UINT32_MAX));
	store16(buf + MBR_SIGNATURE, 0xaa55);
	err = s->write(s->ctx, 0, buf, 1);
	return err ? err : s->flush(s->ctx);
}

static bool same(const struct gpt_header *a, const struct gpt_header *b)
{
	return a->entries == b->entries && a->entry_size == b->entry_size &&
	       a->entries_crc == b->entries_crc && a->first_usable == b->first_usable &&
	       a->last_usable == b->last_usable &&
	       memcmp(a->disk.b, b->disk.b, sizeof(a->disk.b)) == 0;
}

int gpt_repair(const struct gpt_source *s, struct gpt *scratch, void *buf, char *what,
	       size_t what_len)
{
	char why[2][96] = {"", ""};
	const struct gpt_copy primary = {s, "primary", 1, buf, why[0], sizeof(why[0])};
	const struct gpt_copy backup = {s, "backup", s->blocks - 1, buf, why[1], sizeof(why[1])};
	struct gpt_header first = {0}, second = {0};
	bool protective, other;
	int err, err2;

	ray_snprintf(what, what_len, "the disk is too small");
	if (s->blocks < 6)
		return -RAY_ENOENT;
	ray_snprintf(what, what_len, "it cannot be read");
	err = gpt_mbr_read(s, buf, &protective, &other);
	if (err)
		return err;
	err = gpt_copy_read(&primary, scratch, &first);
	err2 = gpt_copy_read(&backup, scratch, &second);
	if (err && err2) {
		ray_snprintf(what, what_len, "both copies are damaged: %s", why[0]);
		return err != -RAY_ENOEXEC ? err : err2;
	}
	if (err == -RAY_ENOEXEC)
		return primary_make(s, &second, buf, what, what_len);
	if (err2 == -RAY_ENOEXEC)
		return backup_make(s, &first, buf, what, what_len);
	if (err || err2)
		return err ? err : err2;
	if (!same(&first, &second)) {
		ray_snprintf(what, what_len, "both copies are whole and differ; choose with another tool");
		return -RAY_EINVAL;
	}
	if (!protective && !other) {
		ray_snprintf(what, what_len, "the protective MBR was written anew");
		return gpt_mbr_write(s, buf);
	}
	ray_snprintf(what, what_len, "nothing is damaged");
	return 0;
}
