/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues (virtio 1.2, 2.7) with indirect descriptors and EVENT_IDX.
 * Owns: the ring state of one queue and the walk over its descriptor chains. Must not know:
 * what a request means, nor the transport.
 *
 * Everything in the rings is the guest's and may change at any moment: each descriptor is read
 * once, the copy is checked, and only the copy is used. A chain that loops, is too long, wraps
 * or leaves RAM breaks the device (virtio_dev_break()), never the host.
 *
 * Locking: virtq->lock serialises all who serve the queue. Rings are found by guest address at
 * each access and chains hold host pointers only inside the epoch section they were made in.
 */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_VIRTQ_H
#define RAYOS_DEVICES_VIRT_VIRTIO_VIRTQ_H

#include "devices/virt/io.h"
#include "devices/virt/segs.h"
#include "hv/gmem.h"
#include "kernel/lib/types.h"
#include "kernel/sched/spinlock.h"
#include "kernel/time/time.h"

struct virtio_dev;

#define VIRTQ_SIZE_MAX  1024u
/* Chunks of guest memory (2 MiB) that buffers of one chain may cross, beyond its descriptors. */
#define VIRTQ_SEGS_SPARE 16u

/*
 * One descriptor chain: first what the device reads, then what it writes (2.7.4.2). The
 * pointers are good until the end of the epoch section in which virtq_next() was called.
 */
struct virtq_chain {
	uint16_t head;
	uint16_t descs; /* walked for it */
	uint16_t out_count, in_count; /* segments */
	uint32_t out_len, in_len;     /* bytes */
	struct virtq_seg *seg;        /* out_count of the driver's, then in_count of the device's */
};

struct virtq {
	struct spinlock lock;
	struct virtio_dev *dev;
	uint16_t index;
	uint16_t size;        /* entries, a power of two; 0 only before the first reset */
	uint16_t size_max;
	uint16_t vector;      /* MSI-X, VIRTIO_NO_VECTOR: none */
	volatile bool enabled; /* queue_enable and DRIVER_OK, and the device is whole */
	bool wanted;          /* queue_enable as the driver wrote it */
	bool event_idx, indirect;
	uint64_t desc, avail, used; /* gpa */
	struct gmem *mem;
	struct gmem_place desc_at, avail_at, used_at; /* while enabled */
	uint16_t last_avail;  /* next entry of the available ring to take */
	uint16_t used_idx;    /* next entry of the used ring to fill */
	uint16_t used_told;   /* used->idx as the driver sees it */
	uint16_t signalled;   /* used_idx at the last look whether to interrupt */
	volatile uint32_t kicked;
	uint64_t turn;        /* descriptors left before somebody else is to have a turn */
	uint64_t absent;      /* gpa that virtq_next() missed, for the I/O thread to make present */
	uint32_t absent_len;  /* bytes; 0: none */
	uint32_t seg_max;
	uint64_t *gpa;        /* of each segment; set by virtq_addresses() only */
	bool by_address;      /* segments have no pointers, but gpa[] */
	struct timer timer;    /* kicks, when a quota allows more */
	struct vio_work work;  /* serves the queue on the VM's I/O thread */
	struct virtq_chain chain;
	uint64_t notified, interrupts, served; /* statistics: kicks, interrupts, chains */
};

/** @size_max  power of two, at most VIRTQ_SIZE_MAX. 0 or -RAY_ENOMEM. */
int __must_check virtq_init(struct virtq *q, struct virtio_dev *dev, uint16_t index,
			    uint16_t size_max);
void virtq_fini(struct virtq *q);
/** Power-on: disabled, indices 0, largest size, no vector. Pre: lock held or nobody serves. */
void virtq_reset(struct virtq *q);
/** Where its rings lie, once their addresses stand. Pre: lock held, about to be enabled. */
void virtq_locate(struct virtq *q);

/**
 * Room for a queue whose buffers are not to be looked into, but named: while q->by_address is
 * set, virtq_next() gives guest addresses in q->gpa[], unchecked, and segments without pointers.
 * 0 or -RAY_ENOMEM.
 */
int __must_check virtq_addresses(struct virtq *q);

/**
 * The next chain, without taking it: a second call without virtq_take() gives it again.
 * Pre: lock held, epoch section. Context: any thread, exit handler included.
 * Returns: 1 and *c; 0: none (the driver has been asked to notify the next one);
 *          -RAY_EAGAIN: needs memory that the guest gave back: from the exit handler leave it
 *          to the I/O thread, which has made it present when this returns there to be called
 *          again. Also when the queue has had its turn: a driver that adds chains as fast as
 *          they are served keeps neither an exit handler nor the I/O thread for good.
 *          -RAY_EPROTO: malformed, the device is broken by now; stop.
 * Trust: everything it reads
 */
int virtq_next(struct virtq *q, struct virtq_chain **c);
/**
 * A chain that was taken before and not put: walk it again, for who could not do it then.
 * Pre, Context, Trust: as virtq_next(). Returns: 1, -RAY_EAGAIN (its memory is not there),
 * -RAY_EPROTO
 */
int virtq_again(struct virtq *q, uint16_t head, struct virtq_chain **c);
/** Take what virtq_next() gave. It is owed a virtq_put(). */
static inline void virtq_take(struct virtq *q)
{
	q->last_avail++;
	q->served++;
	q->turn -= MIN(q->turn, q->chain.descs);
}
/** Give a chain back with @written bytes in its device-writable part; not visible before
 *  virtq_flush(). Pre: lock held. */
void virtq_put(struct virtq *q, uint16_t head, uint32_t written);
/** virtq_take() and virtq_put() at once, for requests that are over at once. */
static inline void virtq_done(struct virtq *q, const struct virtq_chain *c, uint32_t written)
{
	virtq_take(q);
	virtq_put(q, c->head, written);
}
/* A moment of a queue that can be gone back to. */
struct virtq_mark {
	uint16_t last_avail, used_idx;
};
static inline struct virtq_mark virtq_mark(const struct virtq *q)
{
	return (struct virtq_mark){.last_avail = q->last_avail, .used_idx = q->used_idx};
}
/** What was taken and put since virtq_mark() is available again. Pre: lock held all the time,
 *  no virtq_flush() since, and every chain taken was put. */
static inline void virtq_rewind(struct virtq *q, struct virtq_mark m)
{
	q->served -= (uint16_t)(q->last_avail - m.last_avail);
	q->last_avail = m.last_avail;
	q->used_idx = m.used_idx;
}
/** Show the driver all that was put, in one step, and interrupt it if it asked to be.
 *  Pre: lock held, epoch section. */
void virtq_flush(struct virtq *q);
/** How many chains are available beyond the taken ones; a hint. Pre: lock held, epoch section. */
uint16_t virtq_available(struct virtq *q);
/** Interrupt the driver though nothing was put (bench, tests). Pre: lock held. */
void virtq_interrupt(struct virtq *q);

/* --- contents of chains --- */

/**
 * Copy out of / into a chain from byte @off of its driver's (out) or device's (in) part.
 * Returns: bytes copied, less than @len when the part ends before.
 * Trust: what is read is hostile: check the copy, use the copy
 */
uint32_t virtq_chain_read(const struct virtq_chain *c, uint32_t off, void *dst, uint32_t len);
uint32_t virtq_chain_write(const struct virtq_chain *c, uint32_t off, const void *src,
			   uint32_t len);

/**
 * Copy a request's header, the first @len bytes of the driver's part, which mostly lie in one
 * piece: inline, for a constant @len.
 * Returns: false when there are fewer. Trust: as virtq_chain_read()
 */
static __force_inline bool virtq_chain_head(const struct virtq_chain *c, void *dst, uint32_t len)
{
	if (likely(c->out_count > 0 && c->seg[0].len >= len)) {
		__builtin_memcpy(dst, c->seg[0].p, len);
		return true;
	}
	return virtq_chain_read(c, 0, dst, len) == len;
}

/** Begin at byte @off of the out or in part. */
void virtq_iter_out(struct virtq_iter *it, const struct virtq_chain *c, uint32_t off);
void virtq_iter_in(struct virtq_iter *it, const struct virtq_chain *c, uint32_t off);

struct state_buf;
/** Ring state of a queue, inside its device's record. Pre: nobody serves. */
void virtq_save(const struct virtq *q, struct state_buf *b);
/* A record read and checked, not yet applied. */
struct virtq_saved {
	uint64_t desc, avail, used;
	uint16_t size, vector, last_avail, used_idx;
	bool wanted;
};
/** 0 or -RAY_EINVAL. Trust: the record. */
int __must_check virtq_decode(const struct virtq *q, struct state_buf *b, struct virtq_saved *out);
void virtq_apply(struct virtq *q, const struct virtq_saved *s);

#endif
