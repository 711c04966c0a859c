/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio devices that the host itself is given (virtio 1.2 over PCI, 4.1; modern devices only):
 * negotiation, and queues from the driver's side.
 * Owns: the transport, split rings, which requests are under way. Must not know: what a request
 * means.
 *
 * A ring has slots; a request in a slot has its descriptors in a place of the slot's own, an
 * indirect table where the device knows those, else its share of the ring's descriptors.
 * Locking: each ring's lock for its slots and for what is handed over; what is used is taken by
 * its interrupt handler alone. No lock is held over hvio_ring.done().
 * Trust: all that the device writes. Registers that make no sense mean no driver; used entries
 * that do not name a slot under way are told by hvio_ring.nonsense().
 */
#ifndef RAYOS_DEVICES_HOST_VIRTIO_HVIO_H
#define RAYOS_DEVICES_HOST_VIRTIO_HVIO_H

#include "kernel/dma/dma.h"
#include "kernel/lib/types.h"
#include "kernel/lib/virtio_abi.h"
#include "kernel/pci/pci.h"
#include "kernel/sched/spinlock.h"

#define HVIO_RING_MAX 256u /* descriptors of a ring */
#define HVIO_SEGS_MAX 130u /* of a request: 512 KiB of single pages, what stands before and after */
#define HVIO_BARS_MAX PCI_BARS_MAX

struct hvio;

struct hvio_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};
BUILD_ASSERT(sizeof(struct hvio_desc) == 16, "2.7.5");

struct hvio_ring {
	struct hvio *v;
	uint16_t index;    /* of the queue */
	uint16_t size;     /* descriptors */
	uint16_t slots, step; /* a slot has so many descriptors of the ring */
	uint16_t segs_max; /* of a request */
	struct spinlock lock;
	struct dma_buf rings;  /* descriptors, available ring, used ring */
	struct dma_buf tables; /* indirect ones; size 0: none */
	uint32_t avail_at, used_at; /* in `rings` */
	uint16_t avail_idx, used_idx;
	uint32_t notify;   /* offset of its doorbell */
	bool on, serving; /* atomic; serving: its interrupt handler runs */
	uint16_t free_count;
	uint16_t free[HVIO_RING_MAX];
	bool busy[HVIO_RING_MAX];
	/* A request ended. Context: its interrupt. */
	void (*done)(struct hvio_ring *r, uint16_t slot, uint32_t len);
	/* The device speaks of what it was never given. Context: its interrupt. */
	void (*nonsense)(struct hvio_ring *r);
	void *owner;
};

/* A region of registers (4.1.4). */
struct hvio_area {
	void *regs;
	uint32_t size;
};

struct hvio {
	struct pci_dev *pci;
	void *bar[HVIO_BARS_MAX]; /* mapped, NULL: not */
	struct hvio_area common, notify, device;
	uint32_t notify_step;
	uint64_t features;
	bool gone;
};

/**
 * Find the device's registers and negotiate: with VERSION_1 and what is there of @wanted.
 * Returns: 0; -RAY_ENOSYS (a device from before 1.0, or it does not agree), -RAY_ENODEV (its
 * capabilities lead nowhere), -RAY_ENOMEM, -RAY_ETIMEDOUT. Undone by hvio_fini() in each case.
 * Context: thread.
 */
int __must_check hvio_init(struct hvio *v, struct pci_dev *d, uint64_t wanted);
void hvio_fini(struct hvio *v);
/** Everything is off: on return the device reaches no memory. 0, -RAY_ETIMEDOUT, -RAY_ENODEV. */
int __must_check hvio_reset(struct hvio *v);
/** After a reset: the same features once more. The rings have to be enabled again. */
int __must_check hvio_negotiate(struct hvio *v, uint64_t wanted);
/** The rings are enabled: begin. */
void hvio_begin(struct hvio *v);
static inline bool hvio_has(const struct hvio *v, uint64_t feature)
{
	return (v->features & feature) != 0;
}

/** The device's own configuration; 0 beyond its end. */
uint8_t hvio_config8(const struct hvio *v, uint32_t off);
uint16_t hvio_config16(const struct hvio *v, uint32_t off);
uint32_t hvio_config32(const struct hvio *v, uint32_t off);
uint64_t hvio_config64(const struct hvio *v, uint32_t off);
/** How many queues it has. */
uint16_t hvio_queue_count(const struct hvio *v);

/**
 * Memory for queue @index, for requests of up to @segs_max pieces (fewer where there are no
 * indirect tables: r->segs_max says). done, nonsense and owner are the caller's to set.
 * Returns: 0, -RAY_ENOSYS (no such queue), -RAY_ENOMEM; undone by hvio_ring_fini(). Thread.
 */
int __must_check hvio_ring_init(struct hvio_ring *r, struct hvio *v, uint16_t index,
				uint16_t segs_max);
void hvio_ring_fini(struct hvio_ring *r);
/** Empty, and known to the device, with MSI-X vector @vector. 0, -RAY_EIO (it refuses). */
int __must_check hvio_ring_enable(struct hvio_ring *r, uint16_t vector);

/** No slot is given and no end taken any more; on return none is being taken. Thread, no lock. */
void hvio_ring_off(struct hvio_ring *r);

/** A free slot; -RAY_EAGAIN. Pre: r->lock. */
int hvio_slot_take(struct hvio_ring *r);
void hvio_slot_give(struct hvio_ring *r, uint16_t slot);
/** Its descriptors: fill @n of them, flags as VIRTIO_DESC_WRITE or 0. Pre: r->lock. */
struct hvio_desc *hvio_slot_descs(const struct hvio_ring *r, uint16_t slot);
/** Hand a filled slot over. Pre: r->lock. */
void hvio_submit(struct hvio_ring *r, uint16_t slot, uint16_t n);
/** The ring's interrupt. */
void hvio_interrupt(void *arg);

#endif
