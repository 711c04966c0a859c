/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SCSI disk that takes command descriptor blocks and answers with data, status and sense; it
 * keeps its bytes in an array, and lies or fails on demand. Included by one .c of a test.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_SCSI_H
#define RAYOS_TESTS_HOST_FAKE_SCSI_H

#include <assert.h>
#include <string.h>

#include "devices/host/scsi/scsi.h"
#include "kernel/lib/unaligned.h"

#define FAKE_SCSI_SIZE MIB(1)
#define FAKE_PAGES_MAX 8u

struct fake_scsi {
	uint8_t data[FAKE_SCSI_SIZE];
	uint8_t type, version, pages[FAKE_PAGES_MAX], page_count;
	uint64_t last;             /* logical block; what it says */
	uint32_t logical;
	uint32_t max_blocks, unmap_blocks, unmap_ranges, grain;
	uint64_t same_blocks;
	uint8_t thin, physical;    /* page b2's byte 5; exponent */
	uint8_t mode_flags, caching;
	bool no_mode, no_flush, no_long, no_short, no_medium, stopped;
	unsigned int attentions, becoming, busy; /* so many commands are answered so */
	uint8_t key, asc, ascq;    /* what the next fail_count transfers fail with */
	unsigned int fail_count;
	unsigned int done[256];
	uint8_t flags[256];        /* byte 1 of the last command of that kind */
};

struct fake_answer {
	uint8_t status, sense[SCSI_SENSE_MAX];
	size_t sense_len, got;
	bool descriptors; /* sense data in that format */
};

static __unused void fake_scsi_init(struct fake_scsi *u)
{
	static const uint8_t pages[] = {0x00, 0x80, 0xb0, 0xb2};

	memset(u, 0, sizeof(*u));
	u->version = 6;
	memcpy(u->pages, pages, sizeof(pages));
	u->page_count = sizeof(pages);
	u->logical = 512;
	u->last = FAKE_SCSI_SIZE / 512 - 1;
	u->max_blocks = 1000;
	u->unmap_blocks = 500;
	u->unmap_ranges = 1;
	u->grain = 8;
	u->same_blocks = 400;
	u->thin = 0xe4;
	u->physical = 3;
	u->caching = BIT(2);
}

static void fake_sense(struct fake_answer *a, uint8_t key, uint8_t asc, uint8_t ascq)
{
	a->status = SCSI_CHECK_CONDITION;
	memset(a->sense, 0, sizeof(a->sense));
	if (a->descriptors) {
		a->sense[0] = 0x72;
		a->sense[1] = key;
		a->sense[2] = asc;
		a->sense[3] = ascq;
		a->sense_len = 8;
	} else {
		a->sense[0] = 0x70;
		a->sense[2] = key;
		a->sense[12] = asc;
		a->sense[13] = ascq;
		a->sense_len = 18;
	}
}

static void fake_answer(struct fake_answer *a, const void *p, size_t len, void *in, size_t in_len)
{
	a->got = len < in_len ? len : in_len;
	memcpy(in, p, a->got);
}

static size_t fake_page(const struct fake_scsi *u, uint8_t page, uint8_t *p)
{
	memset(p, 0, 255);
	p[1] = page;
	switch (page) {
	case 0x00:
		p[3] = u->page_count;
		memcpy(p + 4, u->pages, u->page_count);
		return 4u + u->page_count;
	case 0x80:
		p[3] = 10;
		memcpy(p + 4, "  serial 7", 10);
		return 14;
	case 0xb0:
		p[3] = 60;
		store_be32(p + 8, u->max_blocks);
		store_be32(p + 20, u->unmap_blocks);
		store_be32(p + 24, u->unmap_ranges);
		store_be32(p + 28, u->grain);
		store_be64(p + 36, u->same_blocks);
		return 64;
	default:
		p[3] = 4;
		p[5] = u->thin;
		return 8;
	}
}

static void fake_inquiry(const struct fake_scsi *u, const uint8_t *cdb, void *in, size_t in_len,
			 struct fake_answer *a)
{
	uint8_t p[255] = {0};

	if (cdb[1] & 1u) {
		if (!memchr(u->pages, cdb[2], u->page_count))
			fake_sense(a, SCSI_ILLEGAL_REQUEST, 0x24, 0);
		else
			fake_answer(a, p, fake_page(u, cdb[2], p), in, in_len);
		return;
	}
	p[0] = u->type;
	p[2] = u->version;
	p[4] = 31;
	memcpy(p + 8, "RAYOS   Model disk      1.0 ", 28);
	fake_answer(a, p, 36, in, in_len);
}

static void fake_capacity(const struct fake_scsi *u, bool wide, void *in, size_t in_len,
			  struct fake_answer *a)
{
	uint8_t p[32] = {0};

	if (wide ? u->no_long : u->no_short) {
		fake_sense(a, SCSI_ILLEGAL_REQUEST, 0x20, 0);
		return;
	}
	if (wide) {
		store_be64(p, u->last);
		store_be32(p + 8, u->logical);
		p[13] = u->physical;
	} else {
		store_be32(p, u->last > UINT32_MAX ? UINT32_MAX : (uint32_t)u->last);
		store_be32(p + 4, u->logical);
	}
	fake_answer(a, p, wide ? 32 : 8, in, in_len);
}

static void fake_mode(const struct fake_scsi *u, void *in, size_t in_len, struct fake_answer *a)
{
	uint8_t p[24] = {23, 0, u->mode_flags, 0, 0x08, 18, u->caching};

	if (u->no_mode)
		fake_sense(a, SCSI_ILLEGAL_REQUEST, 0x20, 0);
	else
		fake_answer(a, p, sizeof(p), in, in_len);
}

static void fake_transfer(struct fake_scsi *u, const uint8_t *cdb, const uint8_t *out,
			  size_t out_len, uint8_t *in, size_t in_len, struct fake_answer *a)
{
	bool wide = cdb[0] >= 0x80, read = cdb[0] == SCSI_READ_10 || cdb[0] == SCSI_READ_16;
	uint64_t lba = wide ? load_be64(cdb + 2) : load_be32(cdb + 2);
	uint64_t len = (wide ? load_be32(cdb + 10) : load_be16(cdb + 7)) * (uint64_t)u->logical;
	uint64_t off = lba * u->logical;

	if (u->fail_count > 0) {
		u->fail_count--;
		fake_sense(a, u->key, u->asc, u->ascq);
		return;
	}
	assert(off <= FAKE_SCSI_SIZE && len <= FAKE_SCSI_SIZE - off);
	if (cdb[0] == SCSI_WRITE_SAME_16) {
		assert(out_len == u->logical && len <= u->same_blocks * u->logical);
		for (uint64_t i = 0; i < len; i++)
			u->data[off + i] = out[i % u->logical];
	} else if (read) {
		assert(in_len == len && out_len == 0);
		memcpy(in, u->data + off, len);
		a->got = len;
	} else {
		assert(out_len == len && in_len == 0);
		memcpy(u->data + off, out, len);
	}
}

static void fake_unmap(struct fake_scsi *u, const uint8_t *cdb, const uint8_t *out, size_t out_len)
{
	uint64_t lba = load_be64(out + 8), blocks = load_be32(out + 16);

	assert(out_len == 24 && load_be16(cdb + 7) == 24);
	assert(load_be16(out) == 22 && load_be16(out + 2) == 16);
	assert(blocks <= u->unmap_blocks && (lba + blocks) * u->logical <= FAKE_SCSI_SIZE);
	memset(u->data + lba * u->logical, 0xdd, blocks * u->logical);
}

/* What stands before any command. Returns: it is not done. */
static bool fake_refused(struct fake_scsi *u, const uint8_t *cdb, struct fake_answer *a)
{
	if (u->busy > 0) {
		u->busy--;
		a->status = SCSI_BUSY;
		return true;
	}
	if (cdb[0] == SCSI_INQUIRY || cdb[0] == SCSI_REPORT_LUNS)
		return false;
	if (u->attentions > 0) {
		u->attentions--;
		fake_sense(a, SCSI_UNIT_ATTENTION, 0x29, 0);
	} else if (u->no_medium) {
		fake_sense(a, SCSI_NOT_READY, 0x3a, 0);
	} else if (u->becoming > 0) {
		u->becoming--;
		fake_sense(a, SCSI_NOT_READY, 0x04, 0x01);
	} else if (u->stopped && cdb[0] != SCSI_START_STOP) {
		fake_sense(a, SCSI_NOT_READY, 0x04, 0x02);
	}
	return a->status != SCSI_GOOD;
}

static void fake_scsi_do(struct fake_scsi *u, const uint8_t *cdb, const void *out, size_t out_len,
			 void *in, size_t in_len, struct fake_answer *a)
{
	a->status = SCSI_GOOD;
	a->sense_len = a->got = 0;
	u->done[cdb[0]]++;
	u->flags[cdb[0]] = cdb[1];
	if (fake_refused(u, cdb, a))
		return;
	switch (cdb[0]) {
	case SCSI_TEST_UNIT_READY:
		break;
	case SCSI_START_STOP:
		assert(cdb[4] == 1);
		u->stopped = false;
		break;
	case SCSI_INQUIRY:
		fake_inquiry(u, cdb, in, in_len, a);
		break;
	case SCSI_READ_CAPACITY_10:
	case SCSI_SERVICE_IN_16:
		fake_capacity(u, cdb[0] == SCSI_SERVICE_IN_16, in, in_len, a);
		break;
	case SCSI_MODE_SENSE_6:
		fake_mode(u, in, in_len, a);
		break;
	case SCSI_SYNC_10:
		if (u->no_flush)
			fake_sense(a, SCSI_ILLEGAL_REQUEST, 0x20, 0);
		break;
	case SCSI_UNMAP:
		fake_unmap(u, cdb, out, out_len);
		break;
	case SCSI_READ_10:
	case SCSI_READ_16:
	case SCSI_WRITE_10:
	case SCSI_WRITE_16:
	case SCSI_WRITE_SAME_16:
		fake_transfer(u, cdb, out, out_len, in, in_len, a);
		break;
	default:
		fake_sense(a, SCSI_ILLEGAL_REQUEST, 0x20, 0);
	}
}

#endif
