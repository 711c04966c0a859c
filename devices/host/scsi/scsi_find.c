/* SPDX-License-Identifier: Apache-2.0 */
/* SCSI: asking a unit what it is. */
#include <string.h>

#include "devices/host/scsi/scsi.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/unaligned.h"
#include "kernel/mm/heap.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define READY_NS        10000000000ull
#define READY_STEP_NS   100000000ull
#define TRIES           8u /* a unit that has much to tell (unit attentions), or is busy */
#define RANGE_MAX       GIB(1)
#define GRANULE_MAX     MIB(64)
#define PHYSICAL_MAX    MIB(1)

/* Standard INQUIRY data (SPC-5, INQUIRY command). */
#define INQUIRY_LEN     36u
#define TYPE_DISK       0u /* with qualifier 0: connected */
#define INQUIRY_VERSION 2u
#define INQUIRY_VENDOR  8u
#define INQUIRY_PRODUCT 16u
#define INQUIRY_FIRMWARE 32u
#define VERSION_SPC3    5u
/* Vital product data pages. */
#define EVPD            BIT(0)
#define VPD_PAGES       0x00u
#define VPD_SERIAL      0x80u
#define VPD_LIMITS      0xb0u
#define VPD_THIN        0xb2u
#define VPD_HEADER      4u
#define THIN_UNMAP      BIT(7) /* of byte 5: LBPU */
#define THIN_SAME       BIT(6) /* LBPWS */
#define THIN_ZEROS      BIT(2) /* LBPRZ: what is not mapped reads as zeros */
/* Mode parameters (SBC-4, Mode parameters for direct access block devices). */
#define MODE_NO_BLOCKS  BIT(3) /* DBD */
#define MODE_CACHING    0x08u
#define MODE_HEADER     4u
#define MODE_PROTECTED  BIT(7)
#define MODE_FUA        BIT(4)
#define CACHING_WRITE   BIT(2)
/* Additional sense codes. */
#define ASC_NEEDS_START 0x04u
#define ASCQ_NEEDS_START 0x02u
#define ASC_NO_MEDIUM   0x3au

struct find {
	const struct scsi_port *port;
	struct scsi_unit *unit;
	struct scsi_exec x;
	uint8_t version;
	uint8_t buf[SCSI_BUF_LEN];
};

/* f->x.cdb stands; the answer may be up to @len bytes. Returns: 0 also where the unit refused. */
static int exec(struct find *f, uint8_t cdb_len, uint32_t len)
{
	int err = 0;

	f->x.cdb_len = cdb_len;
	f->x.buf = f->buf;
	f->x.len = len;
	for (unsigned int i = 0; !err && i < TRIES; i++) {
		memset(f->buf, 0, sizeof(f->buf));
		f->x.got = f->x.sense_len = 0;
		err = f->port->exec(f->port->ctx, &f->x);
		if (!err && scsi_result(f->x.status, f->x.sense, f->x.sense_len) != -RAY_EAGAIN)
			break;
	}
	return err;
}

static bool good(const struct find *f, uint32_t least)
{
	return scsi_result(f->x.status, f->x.sense, f->x.sense_len) == 0 && f->x.got >= least;
}

static void cdb_begin(struct find *f, enum scsi_op op)
{
	memset(f->x.cdb, 0, sizeof(f->x.cdb));
	f->x.cdb[0] = (uint8_t)op;
}

static int inquiry(struct find *f, bool vpd, uint8_t page, uint32_t len)
{
	cdb_begin(f, SCSI_INQUIRY);
	f->x.cdb[1] = vpd ? EVPD : 0;
	f->x.cdb[2] = page;
	store_be16(f->x.cdb + 3, (uint16_t)len);
	return exec(f, 6, len);
}

/* --- what it is called --- */

static int identity_take(struct find *f)
{
	struct block_ident *id = &f->unit->ident;
	char vendor[9], product[17];
	int err = inquiry(f, false, 0, INQUIRY_LEN);

	if (err)
		return err;
	if (!good(f, INQUIRY_LEN) || f->buf[0] != TYPE_DISK)
		return -RAY_ENOSYS;
	f->version = f->buf[INQUIRY_VERSION];
	block_text_take(vendor, sizeof(vendor), f->buf + INQUIRY_VENDOR, 8);
	block_text_take(product, sizeof(product), f->buf + INQUIRY_PRODUCT, 16);
	ray_snprintf(id->model, sizeof(id->model), "%s%s%s", vendor, vendor[0] ? " " : "", product);
	block_text_take(id->firmware, sizeof(id->firmware), f->buf + INQUIRY_FIRMWARE, 4);
	return 0;
}

/* --- ready --- */

static int start(struct find *f)
{
	cdb_begin(f, SCSI_START_STOP);
	f->x.cdb[4] = 1;
	return exec(f, 6, 0);
}

static int ready_wait(struct find *f)
{
	uint64_t deadline = time_now() + READY_NS;
	bool started = false;

	for (;;) {
		struct scsi_sense s;
		int err;

		cdb_begin(f, SCSI_TEST_UNIT_READY);
		err = exec(f, 6, 0);
		if (err || good(f, 0))
			return err;
		s = scsi_sense_take(f->x.sense, f->x.sense_len);
		if (f->x.status == SCSI_CHECK_CONDITION && s.key == SCSI_NOT_READY &&
		    s.asc == ASC_NO_MEDIUM)
			return -RAY_ENODEV;
		if (s.key == SCSI_NOT_READY && s.asc == ASC_NEEDS_START &&
		    s.ascq == ASCQ_NEEDS_START && !started) {
			started = true;
			err = start(f);
			if (err)
				return err;
		}
		if (time_now() >= deadline)
			return -RAY_EIO;
		thread_sleep_until(time_now() + READY_STEP_NS);
	}
}

/* --- how large it is --- */

static int blocks_take(struct find *f, uint64_t last, uint32_t logical)
{
	struct scsi_unit *u = f->unit;

	if (logical < 512 || logical > SCSI_LOGICAL_MAX || (logical & (logical - 1)) ||
	    last >= INT64_MAX / logical)
		return -RAY_ENOSYS;
	u->logical = u->physical = logical;
	u->wide = last > UINT32_MAX;
	u->ident.size = (last + 1) * logical;
	return 0;
}

static int capacity_long(struct find *f)
{
	uint64_t physical;
	int err;

	cdb_begin(f, SCSI_SERVICE_IN_16);
	f->x.cdb[1] = SCSI_READ_CAPACITY_16;
	store_be32(f->x.cdb + 10, 32);
	err = exec(f, 16, 32);
	if (err)
		return err;
	if (!good(f, 12))
		return -RAY_ENOENT;
	err = blocks_take(f, load_be64(f->buf), load_be32(f->buf + 8));
	if (err)
		return err;
	physical = (uint64_t)f->unit->logical << (f->buf[13] & 0xfu);
	if (f->x.got >= 14 && physical <= PHYSICAL_MAX)
		f->unit->physical = (uint32_t)physical;
	return 0;
}

/* The short command first: there are sticks that do not survive the long one. */
static int capacity_take(struct find *f)
{
	uint32_t last, logical;
	int err;

	cdb_begin(f, SCSI_READ_CAPACITY_10);
	err = exec(f, 10, 8);
	if (err)
		return err;
	if (!good(f, 8))
		return -RAY_EIO;
	last = load_be32(f->buf);
	logical = load_be32(f->buf + 4);
	if (f->version < VERSION_SPC3 && last != UINT32_MAX)
		return blocks_take(f, last, logical);
	err = capacity_long(f);
	if (err != -RAY_ENOENT)
		return err;
	return last == UINT32_MAX ? -RAY_ENOSYS : blocks_take(f, last, logical);
}

/* --- what it can do --- */

/* A vital product data page of at least @least bytes; false: it has none. */
static bool page_read(struct find *f, uint8_t page, uint32_t least, int *err)
{
	if (*err)
		return false;
	*err = inquiry(f, true, page, 255);
	return !*err && good(f, least) && f->buf[1] == page;
}

/* Whole blocks, not endless. */
static uint64_t range(const struct scsi_unit *u, uint64_t blocks)
{
	return MIN(blocks, RANGE_MAX / u->logical) * u->logical;
}

static void limits_take(struct find *f)
{
	struct scsi_unit *u = f->unit;
	uint64_t most = range(u, load_be32(f->buf + 8));
	uint64_t grain = (uint64_t)load_be32(f->buf + 28) * u->logical;

	u->bytes_max = (uint32_t)most;
	u->granule = grain && grain <= GRANULE_MAX ? (uint32_t)grain : u->logical;
	if (load_be32(f->buf + 24) > 0) /* it takes a range at least */
		u->unmap_max = range(u, load_be32(f->buf + 20));
	u->zero_max = range(u, load_be64(f->buf + 36));
}

static int pages_take(struct find *f)
{
	bool has[256] = {false};
	int err = 0;

	if (page_read(f, VPD_PAGES, VPD_HEADER, &err)) {
		uint32_t n = MIN((uint32_t)load_be16(f->buf + 2), f->x.got - VPD_HEADER);

		for (uint32_t i = 0; i < n; i++)
			has[f->buf[VPD_HEADER + i]] = true;
	}
	if (has[VPD_SERIAL] && page_read(f, VPD_SERIAL, VPD_HEADER, &err))
		block_text_take(f->unit->ident.serial, sizeof(f->unit->ident.serial),
				f->buf + VPD_HEADER,
				MIN((uint32_t)load_be16(f->buf + 2), f->x.got - VPD_HEADER));
	if (has[VPD_LIMITS] && page_read(f, VPD_LIMITS, 44, &err))
		limits_take(f);
	if (has[VPD_THIN] && page_read(f, VPD_THIN, 6, &err)) {
		if (!(f->buf[5] & THIN_UNMAP))
			f->unit->unmap_max = 0;
		f->unit->zero_unmaps = (f->buf[5] & THIN_SAME) && (f->buf[5] & THIN_ZEROS);
	} else {
		f->unit->unmap_max = 0;
	}
	return err;
}

/* Whether it keeps writes for a while, if it does not say: whether it knows how to flush. */
static int flush_try(struct find *f)
{
	int err;

	cdb_begin(f, SCSI_SYNC_10);
	err = exec(f, 10, 0);
	f->unit->cache = !err && good(f, 0);
	return err;
}

static int mode_take(struct find *f)
{
	uint32_t at;
	int err;

	cdb_begin(f, SCSI_MODE_SENSE_6);
	f->x.cdb[1] = MODE_NO_BLOCKS;
	f->x.cdb[2] = MODE_CACHING;
	f->x.cdb[4] = 192; /* what more sticks can bear than 255 */
	err = exec(f, 6, 192);
	if (err)
		return err;
	if (!good(f, MODE_HEADER))
		return flush_try(f);
	f->unit->read_only = (f->buf[2] & MODE_PROTECTED) != 0;
	f->unit->fua = (f->buf[2] & MODE_FUA) != 0;
	at = MODE_HEADER + f->buf[3];
	if (at + 3 > f->x.got || (f->buf[at] & 0x3fu) != MODE_CACHING)
		return flush_try(f);
	f->unit->cache = (f->buf[at + 2] & CACHING_WRITE) != 0;
	return 0;
}

int scsi_unit_find(const struct scsi_port *port, struct scsi_unit *out)
{
	struct find *f = kzalloc(sizeof(*f), MEM_DRIVER);
	int err;

	if (!f)
		return -RAY_ENOMEM;
	memset(out, 0, sizeof(*out));
	f->port = port;
	f->unit = out;
	err = identity_take(f);
	if (!err)
		err = ready_wait(f);
	if (!err)
		err = capacity_take(f);
	if (!err && f->version >= VERSION_SPC3)
		err = pages_take(f);
	if (!err)
		err = mode_take(f);
	kfree(f);
	return err;
}

int scsi_luns_find(const struct scsi_port *port, uint16_t *luns, unsigned int max)
{
	struct scsi_unit none;
	struct find *f = kzalloc(sizeof(*f), MEM_DRIVER);
	unsigned int n = 0;
	uint32_t bytes;
	int err;

	if (!f)
		return -RAY_ENOMEM;
	f->port = port;
	f->unit = &none;
	cdb_begin(f, SCSI_REPORT_LUNS);
	store_be32(f->x.cdb + 6, SCSI_BUF_LEN);
	err = exec(f, 12, SCSI_BUF_LEN);
	bytes = good(f, 8) ? MIN(load_be32(f->buf), f->x.got - 8) : 0;
	for (uint32_t at = 8; !err && at + 8 <= 8 + bytes && n < max; at += 8) {
		/* Peripheral and flat addressing, bus 0 (SAM-6, LUN structures). */
		if (f->buf[at] >> 6 <= 1 && (f->buf[at] >> 6 == 1 || (f->buf[at] & 0x3fu) == 0))
			luns[n++] = (uint16_t)(load_be16(f->buf + at) & 0x3fffu);
	}
	if (!err && n == 0)
		luns[n++] = 0;
	kfree(f);
	return err ? err : (int)n;
}
