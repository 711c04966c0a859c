/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the virtio-scsi driver share. */
#ifndef RAYOS_DEVICES_HOST_VIRTIO_HVIO_SCSI_H
#define RAYOS_DEVICES_HOST_VIRTIO_HVIO_SCSI_H

#include "devices/host/scsi/scsi.h"
#include "devices/host/virtio/hvio_io.h"
#include "kernel/sched/wait.h"

#define VSCSI_DISKS_MAX 64u

struct vscsi;

struct vscsi_disk {
	struct vscsi *host;
	uint8_t target;
	uint16_t lun;
	struct scsi_unit unit;
	struct block_dev *dev;
};

struct vscsi {
	struct hvio_io io;
	struct dma_buf data;  /* what a command of the driver's own brings: SCSI_BUF_LEN */
	struct dma_buf zeros; /* a logical block of them, for WRITE SAME */
	struct waitq wait;    /* for the driver's own command, of which there is one at a time */
	int exec_slot;        /* of the first queue, under its ring's lock; -1: none */
	uint32_t exec_over;   /* atomic */
	bool starved;         /* atomic: a disk found no slot */
	struct vscsi_disk *disk[VSCSI_DISKS_MAX];
	uint32_t disk_count;  /* atomic: those before it are whole */
	uint32_t refs;        /* atomic: each disk until it is gone, and the driver */
};

/* The unit that a port of struct scsi_port stands for while it is looked for. */
struct vscsi_place {
	struct vscsi *host;
	uint8_t target;
	uint16_t lun;
};

/** struct scsi_port's exec(); @ctx a struct vscsi_place. Context: thread, one at a time. */
int vscsi_exec(void *ctx, struct scsi_exec *x);
/** All that a disk does. @drv: a struct vscsi_disk. */
extern const struct block_ops vscsi_ops;
/** A request's end, and what makes no sense: struct hvio_io_init's. */
void vscsi_done(struct hvio_ring *r, uint16_t slot, uint32_t len);
void vscsi_nonsense(struct hvio_ring *r);
/** The host starts anew, its disks' commands are repeated. 0, errors of hvio_io_reset(). */
int __must_check vscsi_reset(struct vscsi *s);
/** Bytes of memory a slot needs beside its data. */
uint32_t vscsi_around(void);
/** One reference less. */
void vscsi_put(struct vscsi *s);

#endif
