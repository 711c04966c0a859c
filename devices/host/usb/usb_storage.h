/* SPDX-License-Identifier: Apache-2.0 */
/*
 * USB mass storage, bulk-only transport (USB Mass Storage Class, Bulk-Only Transport 1.0; section
 * numbers are its): what its files share.
 * Owns: sticks and what their units are. Must not know: what SCSI commands mean.
 *
 * A stick does one command at a time. A thread of its own gives them, waits, and mends what goes
 * wrong, in a straight line.
 * Trust: a stick's answers are checked against what it was asked; what its units say goes to
 * devices/host/scsi/.
 */
#ifndef RAYOS_DEVICES_HOST_USB_USB_STORAGE_H
#define RAYOS_DEVICES_HOST_USB_USB_STORAGE_H

#include "devices/host/scsi/scsi.h"
#include "devices/host/usb/usb.h"
#include "kernel/block/block.h"
#include "kernel/sched/spinlock.h"

#define BOT_CBW_LEN  31u
#define BOT_CSW_LEN  13u
#define BOT_UNITS    8u  /* a card reader's slots; numbers go to 15, nobody has as many */
#define BOT_SEGS     64u /* of a command */
#define BOT_SENSE    18u

/* Memory that the stick's commands go through. */
struct bot_shared {
	uint8_t cbw[32], csw[16];
	uint8_t sense[32];
	uint8_t param[32];
	uint8_t data[SCSI_BUF_LEN];
	uint8_t zeros[SCSI_LOGICAL_MAX];
};

struct stick;

/* A unit that is a disk. */
struct stick_disk {
	struct stick *stick;
	uint8_t lun;
	struct scsi_unit unit;
	struct block_dev *dev;
	struct block_cmd *cmd; /* under the stick's lock: the one it has */
};

struct stick {
	struct usb_dev *usb;
	uint8_t iface, in, out; /* the interface's number, the endpoints' addresses */
	struct dma_buf mem;     /* struct bot_shared */
	uint32_t tag;
	struct usb_seg seg[BOT_SEGS];
	struct spinlock lock;
	struct stick_disk *disk[BOT_UNITS]; /* NULL: that unit is no disk */
	bool resetting; /* under lock: recover() waits for the thread to have reset the stick */
	bool stop;      /* under lock */
	int reset_err;
	struct waitq wake, mended;
	struct thread *thread;
	uint32_t refs;  /* atomic: each published disk until it is gone, and the driver */
};

/* A command for a stick. */
struct bot_cmd {
	uint8_t lun, cdb_len;
	const uint8_t *cdb;
	bool in;
	const struct usb_seg *seg; /* pieces of len bytes in all */
	uint32_t seg_count, len;
};

static inline struct bot_shared *bot_shared(const struct stick *s)
{
	return s->mem.va;
}
/** A member of the shared memory, as a piece. */
struct usb_seg bot_piece(const struct stick *s, const void *member, uint32_t len);

/**
 * Do a command.
 * @got  bytes of data that were moved
 * Returns: 0: done; 1: the unit says it failed, and why when it is asked; -RAY_EAGAIN: the stick
 *          lost its way and was reset; -RAY_ENODEV; -RAY_EIO: it does not come back from a reset.
 * Context: thread, one at a time for a stick.
 */
int bot_run(struct stick *s, const struct bot_cmd *c, uint32_t *got);
/** 5.3.4: reset recovery. 0, -RAY_EIO, -RAY_ENODEV, -RAY_ETIMEDOUT, -RAY_EPROTO. */
int __must_check bot_reset(struct stick *s);
/** How many units it has (3.2); 1 when it does not say. */
unsigned int bot_units(struct stick *s);
/** Why the last command of a unit failed. Returns: bytes of sense data in bot_shared()->sense. */
uint32_t bot_sense(struct stick *s, uint8_t lun);

/* usb_storage_io.c */
extern const struct block_ops stick_block_ops;
/** struct scsi_port's exec(); @ctx a struct stick_disk. */
int stick_exec(void *ctx, struct scsi_exec *x);
/** The stick's thread; @arg a struct stick. */
void stick_thread(void *arg);
/** One reference less. */
void stick_put(struct stick *s);

#endif
