/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IDE with bus mastering, as Intel's PIIX has it (ATA/ATAPI-7 volume 2; Programming Interface for
 * Bus Master IDE Controller 1.0, called BM here): what its files share.
 * Owns: a controller, its two channels and their drives. Must not know: who uses the disks.
 *
 * A channel does one command at a time, of one of its two drives.
 * Locking: each channel's own lock; none is held over block_cmd_done().
 * Trust: what a drive says of itself is checked by ata.c; registers decide only about the one
 * command that is under way.
 */
#ifndef RAYOS_DEVICES_HOST_IDE_IDE_H
#define RAYOS_DEVICES_HOST_IDE_IDE_H

#include "devices/host/ata/ata.h"
#include "kernel/block/block.h"
#include "kernel/dma/dma.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/types.h"
#include "kernel/sched/spinlock.h"

/* Registers from the command block's port on (7.1), and the control block's one. */
#define IDE_DATA    0u
#define IDE_ERROR   1u /* features, when written */
#define IDE_COUNT   2u
#define IDE_LBA_LOW 3u
#define IDE_LBA_MID 4u
#define IDE_LBA_HI  5u
#define IDE_DEVICE  6u
#define IDE_STATUS  7u /* command, when written */
#define IDE_CTL_NIEN BIT(1)
#define IDE_CTL_SRST BIT(2)
/* Bus mastering (BM 2), from a channel's port on. */
#define IDE_BM_COMMAND 0u
#define IDE_BM_STATUS  2u
#define IDE_BM_PRDT    4u
#define IDE_BM_START   BIT(0)
#define IDE_BM_READ    BIT(3) /* from the disk */
#define IDE_BM_ERROR   BIT(1)
#define IDE_BM_IRQ     BIT(2)
#define IDE_GONE       0xffu

/* A piece of memory (BM 1.2): inside 64 KiB that begin at a multiple of that. */
struct ide_prd {
	uint32_t addr; /* even */
	uint16_t len;  /* 0: 64 KiB */
	uint16_t flags;
};
BUILD_ASSERT(sizeof(struct ide_prd) == 8, "BM 1.2");
#define IDE_PRD_LAST 0x8000u
#define IDE_SEGS     128u
/* A piece that is not longer crosses one multiple of 64 KiB at most. */
#define IDE_PRDS     (2 * IDE_SEGS)

/* What the controller reaches of a channel, in one page. */
struct ide_shared {
	struct ide_prd prd[IDE_PRDS]; /* crosses no 64 KiB, being in a page */
	uint8_t ranges[ATA_DATA_LEN];
};
BUILD_ASSERT(sizeof(struct ide_shared) <= 4096, "BM 1.2: the table lies within 64 KiB");

struct ide;
struct ide_channel;

struct ide_drive {
	struct ide_channel *ch;
	unsigned int unit;
	struct ata_id id;
	struct block_dev *dev; /* NULL: nothing to be used */
};

struct ide_channel {
	struct ide *ide;
	unsigned int number;
	uint16_t cmd, ctl, bm; /* ports */
	struct spinlock lock;
	struct dma_buf shared;
	struct irq_handle *irq; /* NULL: a pin of PCI's */
	struct block_cmd *busy; /* the command under way */
	struct ide_drive *busy_drive;
	bool on;
	uint8_t missed; /* drives that were told there is no room */
	struct ide_drive drive[2];
};

struct ide {
	struct pci_dev *pci;
	uint32_t refs; /* atomic: disks that are not gone yet, and the driver */
	bool pin;      /* the interrupt of PCI's is requested */
	struct ide_channel channel[2];
};

/* ide.c */
void ide_put(struct ide *ide);

/* ide_cmd.c */
extern const struct block_ops ide_block_ops;
/** A channel's interrupt. */
void ide_interrupt(void *arg);
/** Reset both drives of a channel and wait until they are ready. 0, -RAY_ETIMEDOUT, -RAY_ENODEV.
 *  Context: thread. */
int __must_check ide_channel_reset(struct ide_channel *ch);
/** IDENTIFY by polling, before anybody uses the channel: ATA_DATA_LEN bytes. 0, -RAY_ENODEV (no
 *  drive, or none of ATA's), -RAY_EIO, -RAY_ETIMEDOUT. Context: thread. */
int __must_check ide_identify(struct ide_channel *ch, unsigned int unit, uint8_t *data);
/** End what is under way with -RAY_EAGAIN. Pre: the channel is off and was reset. */
void ide_channel_abandon(struct ide_channel *ch);
/** It is given nothing more. */
void ide_channel_off(struct ide_channel *ch);
/** Off, reset, on; what was under way is repeated. 0, errors of ide_channel_reset(). Context: thread. */
int __must_check ide_channel_renew(struct ide_channel *ch);

#endif
