/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What drivers of virtio disks have in common: one queue for each CPU, whose slots carry commands
 * of the block layer, and for each slot memory that the device reaches.
 * Owns: those queues. Must not know: what a request looks like.
 * Locking: a queue's ring lock guards its cmd[].
 */
#ifndef RAYOS_DEVICES_HOST_VIRTIO_HVIO_IO_H
#define RAYOS_DEVICES_HOST_VIRTIO_HVIO_IO_H

#include "devices/host/virtio/hvio.h"
#include "kernel/block/block.h"
#include "kernel/sched/wait.h"

#define HVIO_IO_QUEUES_MAX 16u

struct hvio_ioq {
	struct hvio_ring ring;
	struct dma_buf around; /* what a request needs beside its data: so much for each slot */
	struct block_cmd *cmd[HVIO_RING_MAX]; /* NULL, in use: the driver's own */
};

struct hvio_io {
	struct hvio v;
	struct hvio_ioq *queue;
	unsigned int queue_count;
	struct mutex mend; /* one reset at a time */
	bool stopped;      /* under it: hvio_io_stop() was called */
	uint32_t resets;   /* so many there were; atomic, changed under it */
};

struct hvio_io_init {
	uint16_t first;    /* the number of the first queue for requests */
	uint16_t count;    /* so many there are */
	uint32_t around;   /* bytes of a slot's own memory */
	void (*done)(struct hvio_ring *r, uint16_t slot, uint32_t len);
	void (*nonsense)(struct hvio_ring *r);
	const char *name;  /* of the interrupts */
};

/**
 * Find the device and negotiate. Returns: as hvio_init(). hvio_io_stop() may be called whatever it
 * is, if the device's registers were found. Context: thread.
 */
int __must_check hvio_io_open(struct hvio_io *io, struct pci_dev *d, uint64_t wanted);
/**
 * Memory and interrupts of one queue for each CPU, as far as queues and vectors go; a ring's owner
 * is its struct hvio_ioq. Vector numbers count from 0.
 * Returns: 0, -RAY_ENODEV (no queue), errors of hvio_ring_init(); undone by hvio_io_fini().
 * Context: thread.
 */
int __must_check hvio_io_init(struct hvio_io *io, const struct hvio_io_init *init);
void hvio_io_fini(struct hvio_io *io);
/** After a reset: the device knows the queues, and may begin. 0, -RAY_EIO. */
int __must_check hvio_io_enable(struct hvio_io *io);
/**
 * Off, the device reset, on again; every command under way ends with -RAY_EAGAIN.
 * Returns: 0; -RAY_ENODEV (stopped); errors of hvio_reset() and hvio_negotiate(): it can no longer
 *          reach memory then. Context: thread.
 */
int __must_check hvio_io_reset(struct hvio_io *io);
/** It stands still until hvio_io_reset(). Pre: nothing is under way. 0, -RAY_ETIMEDOUT. */
int __must_check hvio_io_suspend(struct hvio_io *io);
/**
 * For good: on return the device reaches no memory and has no interrupts, every command under way
 * ended with -RAY_EAGAIN. Context: thread.
 */
void hvio_io_stop(struct hvio_io *io);

/**
 * The descriptors of a command in slot @slot: hvio_slot_descs(), what stands around in q->around.
 * Returns: how many. Context: the ring's lock is held.
 */
typedef uint16_t (*hvio_io_fill_fn)(struct hvio_ioq *q, uint16_t slot,
				    const struct block_cmd *cmd, void *ctx);
/** struct block_ops' submit(): by the queue of this CPU. 0, -RAY_EAGAIN. */
int hvio_io_submit(struct hvio_io *io, struct block_cmd *cmd, hvio_io_fill_fn fill, void *ctx);
/** The command of a slot that was used; its memory is another's from then on. NULL: the driver's own. */
struct block_cmd *hvio_io_take(struct hvio_ioq *q, uint16_t slot);

void hvio_desc_fill(struct hvio_desc *d, uint64_t addr, uint32_t len, bool write);
/** Descriptors for a command's memory, from d[*n] on. */
void hvio_data_fill(const struct block_cmd *cmd, struct hvio_desc *d, uint16_t *n);

#endif
