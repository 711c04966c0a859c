/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AHCI: what its files share.
 * Owns: a controller and its ports. Must not know: who uses the disks.
 *
 * A port does queued commands, up to 32 at once, or one that is not queued: never both (Serial
 * ATA forbids it). After an error of queued commands nobody knows which of them failed but the
 * device's log; all are repeated one at a time, so that the one that fails does so by itself.
 * Locking: each port's own lock for its slots; no lock is held over block_cmd_done().
 * Trust: what a device says of itself is checked by ata.c; which commands have ended is read
 * from registers and means only commands that were given.
 */
#ifndef RAYOS_DEVICES_HOST_AHCI_AHCI_H
#define RAYOS_DEVICES_HOST_AHCI_AHCI_H

#include "devices/host/ahci/ahci_regs.h"
#include "devices/host/ata/ata.h"
#include "kernel/block/block.h"
#include "kernel/dma/dma.h"
#include "kernel/lib/types.h"
#include "kernel/sched/spinlock.h"
#include "kernel/sched/wait.h"

#define AHCI_SLOTS_MAX 32u

struct ahci;
struct pci_dev;

/* A port's memory that devices reach, beside its command tables. */
struct ahci_shared {
	struct ahci_header header[AHCI_SLOTS_MAX]; /* 1 KiB aligned */
	uint8_t rfis[AHCI_RFIS_LEN];
	uint8_t data[ATA_DATA_LEN];                /* of ahci_exec() */
	uint8_t ranges[ATA_DATA_LEN];              /* of a discard */
};

struct ahci_port {
	struct ahci *hba;
	unsigned int number;
	struct spinlock lock;
	struct dma_buf shared, tables; /* tables: where there is a disk */
	uint64_t link_ns;         /* when its link began to come up */
	struct ata_id id;
	struct block_dev *dev;    /* NULL: nothing to be used is there */
	uint32_t busy;            /* slots the controller has */
	uint32_t queued;          /* of them those of queued commands */
	unsigned int one_by_one;  /* commands left that are not to be queued */
	bool on;                  /* commands may be given */
	struct block_cmd *cmd[AHCI_SLOTS_MAX];
	/* A command of our own, for who waits: slot 0, alone. */
	struct mutex exec_lock;
	struct waitq wait;
	bool exec;     /* somebody waits for the port, or has it */
	bool exec_over;
	int exec_err;
};

struct ahci {
	struct pci_dev *pci;
	void *regs;
	uint32_t cap;
	uint64_t dma_max;
	uint32_t refs; /* atomic: disks that are not gone yet, and the driver */
	struct ahci_port *port[AHCI_PORTS_MAX]; /* NULL: not implemented */
};

static inline struct ahci_shared *ahci_shared(const struct ahci_port *p)
{
	return p->shared.va;
}

/* ahci_port.c: registers */
/** Wait until the bits of @mask in a register are 0. 0, -RAY_ETIMEDOUT. Context: thread. */
int __must_check ahci_clear_wait(const struct ahci *h, uint32_t off, uint32_t mask,
				 unsigned int ms);
uint32_t ahci_px_read(const struct ahci_port *p, uint32_t off);
void ahci_px_write(const struct ahci_port *p, uint32_t off, uint32_t v);

/* ahci.c */
void ahci_put(struct ahci *h);

/* ahci_port.c */
/** Memory for a port that is implemented; it stands still. NULL: no memory. Context: thread. */
struct ahci_port *ahci_port_create(struct ahci *h, unsigned int number) __must_check;
/** Memory for its commands, before the first. 0, -RAY_ENOMEM. Context: thread. */
int __must_check ahci_port_tables(struct ahci_port *p);
/** Pre: it stands still and nothing uses it. */
void ahci_port_destroy(struct ahci_port *p);
/** Stop commands and what comes in (10.1.2). 0, -RAY_ETIMEDOUT. Context: thread. */
int __must_check ahci_port_stop(struct ahci_port *p);
/** Let its link come up, with memory for what the device says of itself. */
void ahci_port_link(struct ahci_port *p);
/**
 * Wait for the device behind a link and begin with commands.
 * Returns: 0, -RAY_ENODEV (nobody is there), -RAY_ETIMEDOUT (it stays busy). Context: thread.
 */
int __must_check ahci_port_start(struct ahci_port *p);
/** struct block_ops.recover() */
int ahci_port_recover(void *drv);

/* ahci_cmd.c */
extern const struct block_ops ahci_block_ops;
/** The port's part of the controller's interrupt. */
void ahci_port_interrupt(struct ahci_port *p);
/** No more commands are given. Returns: slots whose command has ended, as the port still knows
 *  before it is stopped. */
uint32_t ahci_port_off(struct ahci_port *p);
/** The commands in @good end; what else is under way does so with @err. Pre: stopped. */
void ahci_port_abandon(struct ahci_port *p, uint32_t good, int err);
/**
 * Do a command of our own, with ATA_DATA_LEN bytes from the device where @data is not NULL.
 * @lba  24 bits of the answer's registers, where it is not NULL
 * Returns: 0, -RAY_EIO, -RAY_ETIMEDOUT. Context: thread.
 */
int __must_check ahci_exec(struct ahci_port *p, const struct ata_taskfile *t, uint8_t *data,
			   uint32_t *lba);

#endif
