/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block device (virtio 1.2, 5.2): what its files share.
 * Owns: struct vblk, the device, and struct vblk_disk, which outlives it as the attachment's
 * back end. Must not know: how a back end keeps its bytes.
 */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_BLK_H
#define RAYOS_DEVICES_VIRT_VIRTIO_BLK_H

#include "devices/virt/attach.h"
#include "devices/virt/back/blk_back.h"
#include "devices/virt/virtio/virtio.h"
#include "kernel/lib/err.h"

#define VBLK_QUEUES_MAX 16u
#define VBLK_QUEUE_SIZE 512u /* 1 MiB of scattered pages is one request */

/* Discard and write-zeroes: ranges in a request, sectors in a range. */
#define VBLK_RANGES_MAX        16u
#define VBLK_RANGE_SECTORS_MAX (GIB(1) / BLK_SECTOR)

/* The attachment's back end: over resets and rebuilds of the device. */
struct vblk_disk {
	struct blk_back *back;
	unsigned int queues;
	bool read_only;
	char serial[VBLK_ID_LEN + 1];
};

/*
 * The request at the head of a queue, from its header on: a long one is served in several
 * turns, during which it stays in the ring.
 */
struct vblk_req {
	bool admitted;   /* the quota has been paid, the below is set */
	uint16_t head;
	uint32_t out_len, in_len;
	enum block_op op;
	enum policy_verb verb;
	uint64_t off, len; /* of BLOCK_READ and BLOCK_WRITE */
	uint64_t amount; /* bytes it is about */
	uint64_t done;   /* bytes of the present range */
	uint64_t start;  /* TSC */
	unsigned int range_count, range_at;
	struct vblk_range range[VBLK_RANGES_MAX];
};

struct vblk_flights; /* blk_flight.h */

struct vblk {
	struct virtio_dev v;
	struct vblk_disk *disk;
	struct vblk_req req[VBLK_QUEUES_MAX]; /* one for each queue; under its lock */
	struct vblk_flights *flights[VBLK_QUEUES_MAX]; /* NULL where the back end ends at once */
};

static inline struct vblk *vblk_of(struct virtio_dev *d)
{
	return container_of(d, struct vblk, v);
}

/* What becomes of a request for now. */
enum vblk_step {
	VBLK_RUN,    /* it is checked and paid for */
	VBLK_ANSWER, /* it is over */
	VBLK_MORE,   /* not in this turn */
	VBLK_WAIT,   /* for the quota */
	VBLK_BROKEN, /* so is the device */
};

struct vblk_answer {
	uint8_t status; /* VBLK_ANSWER */
	uint64_t when;  /* VBLK_WAIT: TSC tick */
};

/** Check and admit a chain of one of its queues into @r, once.
 *  Pre: q->lock held, epoch section. Trust: the chain */
enum vblk_step vblk_begin(struct vblk *b, struct vblk_req *r, const struct virtq_chain *c,
			  struct vblk_answer *a);
/** Give the chain, which was taken, back with that status. Pre: q->lock held. */
void vblk_answer(struct vblk *b, struct vblk_req *r, struct virtq *q, const struct virtq_chain *c,
		 uint8_t status);
/** Whether a write is to be kept when it is answered (5.2.6.2). */
bool vblk_writethrough(const struct vblk *b);

/* Inline: each stands on the path of every request. */

/** An admitted request is over: for statistics and quota. */
static inline void vblk_count(struct vblk *b, enum policy_verb verb, uint64_t amount,
			      uint64_t start, bool ok)
{
	vhandler_done(&b->v.attach->handler, verb, ok ? amount : 0, start, ok);
}

/** What the used ring says of a request with @in_len bytes to be written: a length covers all
 *  before it (2.7.8.2), which a failed read has not written. */
static inline uint32_t vblk_used(uint32_t in_len, bool ok)
{
	return ok || in_len == 1 ? in_len : 0;
}

/** End a turn of serve(): what virtq_next() gave last, and what became of that. */
static inline enum virtq_result vblk_turn_end(struct virtq *q, int got, enum vblk_step s,
					      uint64_t when)
{
	virtq_flush(q);
	if (got <= 0)
		return got == -RAY_EAGAIN ? VIRTQ_MORE : VIRTQ_IDLE;
	if (s == VBLK_WAIT)
		return virtq_wait_until(q, when);
	return s == VBLK_MORE ? VIRTQ_MORE : VIRTQ_IDLE;
}

/** struct virtio_ops.serve(). */
enum virtq_result vblk_serve(struct virtio_dev *d, struct virtq *q, bool fast);

#endif
