/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a virtio device is made of (virtio 1.2). Three things: the transport (pci.c, msix.c)
 * knows registers and interrupts, the device (blk.c, net.c, ...) knows requests, and a back
 * end behind it knows data. This header is the first two's contract.
 * Owns: negotiation, status, queues' life, the state record. Must not know: any device.
 *
 * Locking: dev->status_lock (a mutex, order VDEV) for changes of the status; dev->lock (a
 * spinlock, order VDEV_REGS) for registers and config; each queue has its own (order VQUEUE). A device is created, saved, loaded and destroyed under vm->lock.
 *
 * Where a queue is served: a notify comes by an exit, with IRQs off, and ops->serve() is called
 * there with @fast. What it does not want to do there (long, needs to sleep or to allocate) it
 * answers with VIRTQ_MORE: the VM's I/O thread calls it again, without @fast.
 */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_VIRTIO_H
#define RAYOS_DEVICES_VIRT_VIRTIO_VIRTIO_H

#include "devices/virt/io.h"
#include "devices/virt/pci.h"
#include "devices/virt/virtio/virtq.h"
#include "hv/vdev.h"
#include "kernel/lib/types.h"
#include "kernel/lib/virtio_abi.h"
#include "kernel/sched/wait.h"

#define VIRTIO_QUEUES_MAX 18u
#define VIRTIO_CONFIG_MAX 256u /* bytes of device-specific configuration */

enum virtq_result {
	VIRTQ_IDLE, /* nothing left, or no buffers: wait for the next notify */
	VIRTQ_MORE, /* there is more, for the I/O thread */
	VIRTQ_WAIT, /* there is more, but not yet: whoever knows when calls virtq_kick() */
};

struct virtio_ops {
	const char *name;       /* "virtio-blk": the record's type, at most 15 characters */
	enum virtio_id id;
	uint16_t pci_class;     /* sub-class and base class, 0x0100 = mass storage, SCSI */
	uint32_t state_version; /* of what save() writes */
	/**
	 * Serve a queue: virtq_next(), virtq_done() and so on, virtq_flush() before returning.
	 * @fast  exit handler: IRQs off, no sleeping, no waiting for locks, no allocation, no log
	 * Context: q->lock held, epoch section, preemption off. Bounded: half a MiB of
	 *          copying at most without @fast, a few KiB with it; then VIRTQ_MORE.
	 */
	enum virtq_result (*serve)(struct virtio_dev *d, struct virtq *q, bool fast);
	/** The driver has accepted d->features (FEATURES_OK). Context: dev->lock. May be NULL.
	 *  Returns: false: not in this combination. */
	bool (*features_ok)(struct virtio_dev *d);
	/** DRIVER_OK: queues are enabled. Context: vCPU thread, status_lock. May be NULL. */
	void (*ready)(struct virtio_dev *d);
	/** The driver has written [off, off+len) of d->config (already clipped to config_size);
	 *  @bytes is a copy. The device decides what d->config becomes. NULL: read-only.
	 *  Context: dev->lock. Trust: all of it */
	void (*config_write)(struct virtio_dev *d, unsigned int off, unsigned int len,
			     const uint8_t *bytes);
	/** Back to power-on; queues are off and nobody serves. Context: thread, status_lock. May
	 *  be NULL. */
	void (*reset)(struct virtio_dev *d);
	/** Stop and continue own timers and back-end requests; queues stand still meanwhile.
	 *  quiesce comes before destroy too. Context: thread. May be NULL. */
	void (*quiesce)(struct virtio_dev *d);
	void (*resume)(struct virtio_dev *d);
	/** What the device knows beyond the core's record. Pre: quiesced. May be NULL (both). */
	void (*save)(struct virtio_dev *d, struct state_buf *b);
	/** Decode all, then apply. 0 or -RAY_EINVAL. Trust: the record */
	int (*load)(struct virtio_dev *d, struct state_buf *b, uint32_t version);
	/** Free what the device holds, @d's memory included. Queues are gone, nobody serves. */
	void (*destroy)(struct virtio_dev *d);
};

#define VIRTIO_MSIX_MAX (VIRTIO_QUEUES_MAX + 1u)

struct virtio_msix {
	struct {
		uint64_t addr;
		uint32_t data;
		uint32_t ctrl; /* bit 0: masked */
	} entry[VIRTIO_MSIX_MAX];
	uint32_t count;
	volatile uint32_t pending; /* PBA, one bit an entry */
	volatile bool on, masked;  /* message control: enable, function mask */
	int cap;                   /* offset of the capability */
};

struct vattach;

struct virtio_dev {
	struct vdev dev;
	struct vdev_ops vdev_ops; /* dev.ops: the core's, under the device's name */
	struct vpci_dev pci;
	const struct virtio_ops *ops;
	struct vattach *attach; /* what it was made from: name, handler, back end */
	struct vio *io;
	struct mutex status_lock; /* status changes and what they do to queues */
	struct spinlock lock;
	uint64_t offered;  /* feature bits */
	uint64_t features; /* what the driver accepted */
	uint64_t driver_features;
	uint32_t feature_select, driver_feature_select;
	volatile uint8_t status;
	volatile uint8_t isr;
	uint8_t generation; /* of config */
	uint16_t queue_select;
	uint16_t config_vector;
	uint32_t config_size;
	uint8_t config[VIRTIO_CONFIG_MAX];
	unsigned int queue_count;
	struct virtq *queue; /* queue_count of them */
	struct virtio_msix msix;
	volatile bool broken;   /* until the next reset: queues are not served */
	const char *broken_why; /* static text */
	struct vio_work event_work; /* says what an exit handler may not: markers */
	volatile uint32_t events;
	uint64_t broken_count;
	bool quiesced, plugged;
};

/* What a device is created with. */
struct virtio_init {
	const struct virtio_ops *ops;
	struct vattach *attach;
	uint64_t features;      /* offered besides the core's own */
	uint32_t config_size;   /* bytes; d->config is filled by the caller before plug */
	unsigned int queues;
	const uint16_t *queue_sizes; /* one each, or NULL: all have queue_size */
	uint16_t queue_size;         /* 0: 256 */
};

/**
 * Make @d, zeroed memory of the caller's, a virtio device of @vm.
 * Returns: 0, -RAY_ENOMEM (nothing left). Context: thread, vm->lock
 */
int __must_check virtio_dev_init(struct virtio_dev *d, struct vm *vm,
				 const struct virtio_init *init);
/** Put it on the bus. 0, -RAY_ENOSPC (slots). The slot in d->attach is kept from then on. */
int __must_check virtio_dev_plug(struct virtio_dev *d);
/** Nobody serves its queues between the two; they go on with what waits in them. Context:
 *  thread, vm->lock. */
void virtio_dev_hold(struct virtio_dev *d);
void virtio_dev_let_go(struct virtio_dev *d);
/** Reverse of both: off the bus, nobody serves, queues gone; calls ops->destroy(). */
void virtio_dev_destroy(struct virtio_dev *d);

/** The driver has accepted a feature. Context: any. */
static inline bool virtio_has(const struct virtio_dev *d, uint64_t feature)
{
	return (d->features & feature) != 0;
}

/** Serve @q as if the guest had notified it: from timers, back ends, other threads. The I/O
 *  thread does it. Context: any but NMI; no lock needed. */
void virtq_kick(struct virtq *q);

/**
 * The queue's lock for who works on it beside virtq_run(). @fast: do not wait.
 * Returns: whether it is taken. Context: as the device's serve().
 */
static inline bool virtq_lock(struct virtq *q, bool fast)
{
	if (fast)
		return spin_trylock(&q->lock);
	spin_lock(&q->lock);
	return true;
}

/** Let go of it. Who kicked the queue meanwhile found it taken and went away: the I/O thread
 *  serves it now. */
static inline void virtq_unlock(struct virtq *q)
{
	spin_unlock(&q->lock);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (unlikely(q->kicked))
		virtq_kick(q);
}
/**
 * Serve @q again at TSC tick @when: for who has no quota left. A crossing is told by a marker.
 * Pre: q->lock held. Returns: VIRTQ_WAIT
 */
enum virtq_result virtq_wait_until(struct virtq *q, uint64_t when);
/** Space was refused (quota_charge()): the marker, if it is the first time. Context: any but
 *  NMI. */
void virtio_quota_event(struct virtio_dev *d);
/** Serve now: from an exit handler (@fast) or a thread. */
void virtq_run(struct virtq *q, bool fast);
/** The driver has notified: count it and virtq_run() with @fast. Context: exit handler. */
void virtq_notified(struct virtq *q);

/**
 * The driver broke the protocol: DEVICE_NEEDS_RESET, a configuration interrupt, counted; until
 * the reset no queue is served. The VM goes on.
 * @why  static text. Context: any but NMI, queue locks may be held; lock-free.
 */
void virtio_dev_break(struct virtio_dev *d, const char *why);
/** The contents of d->config changed: bump the generation and interrupt. Pre: dev->lock held
 *  while config was written, released now. Context: any but NMI. */
void virtio_config_changed(struct virtio_dev *d);

#endif
