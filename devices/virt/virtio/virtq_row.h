/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of buffers as network drivers offer them to receive into: each a chain of one
 * device-writable descriptor in one piece of low memory, rings in one piece. What is only like
 * this is read without looking anything up twice; all else, and all that is malformed, is left to
 * virtq_next().
 *
 * Nothing has happened to the queue before virtq_row_commit(), so who meets something else in the
 * middle of a row begins again with virtq_next(), which reads and checks everything anew.
 *
 * Locking, context: as virtq_next(), outside a turn of the queue's own (serve()).
 */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_VIRTQ_ROW_H
#define RAYOS_DEVICES_VIRT_VIRTIO_VIRTQ_ROW_H

#include "devices/virt/virtio/virtq.h"
#include "devices/virt/virtio/virtq_ring.h"

struct virtq_row {
	const char *avail;
	const ring64 *desc;
	char *used;
	uint32_t mask, size;
	uint16_t last, end; /* of the available ring: the next entry, and behind the last */
	uint16_t used_idx;
	uint16_t head;      /* of the buffer last given */
};

/** Begin at the next available buffer. Returns: false: not this queue, or none available. */
static __force_inline bool virtq_row_begin(const struct virtq *q, struct virtq_row *r)
{
	char *avail, *desc;

	if (unlikely(q->by_address) || unlikely(!gmem_place_get(&q->avail_at, &avail)) ||
	    unlikely(!gmem_place_get(&q->desc_at, &desc)) ||
	    unlikely(!gmem_place_get_write(q->mem, &q->used_at, &r->used)))
		return false;
	r->avail = avail;
	r->desc = (const ring64 *)(uintptr_t)desc;
	r->size = q->size;
	r->mask = q->size - 1u;
	r->last = q->last_avail;
	r->used_idx = q->used_idx;
	r->end = __atomic_load_n((const uint16_t *)(avail + RING_IDX), __ATOMIC_ACQUIRE);
	return likely((uint16_t)(r->end - r->last) <= r->size);
}

/**
 * The next buffer: @len bytes at the result.
 * Returns: NULL: none is available, or it is of another kind
 * Trust: everything it reads; each word once
 */
static __force_inline void *virtq_row_next(const struct virtq *q, struct virtq_row *r,
					   uint32_t *len)
{
	const uint16_t *entry;
	struct desc d;
	void *p;

	if (unlikely(r->last == r->end))
		return NULL;
	entry = (const uint16_t *)(r->avail + RING_ENTRIES + AVAIL_ENTRY * (r->last & r->mask));
	r->head = __atomic_load_n(entry, __ATOMIC_RELAXED);
	if (unlikely(r->head >= r->size))
		return NULL;
	d = desc_make(r->desc[r->head * 2u], r->desc[r->head * 2u + 1]);
	if (unlikely((d.flags & DESC_KIND) != DESC_WRITE) || unlikely(d.len == 0) ||
	    unlikely(!gmem_low(q->mem, GPA(d.addr), d.len, &p)))
		return NULL;
	*len = d.len;
	return p;
}

/** That buffer goes back with @written bytes in it, once the row is committed. */
static __force_inline void virtq_row_put(struct virtq_row *r, uint32_t written)
{
	ring32 *at = (ring32 *)(uintptr_t)(r->used + RING_ENTRIES +
					   USED_ENTRY * (r->used_idx & r->mask));

	at[0] = r->head;
	at[1] = written;
	r->used_idx++;
	r->last++;
}

/** All that were put are used: virtq_done() for each. */
static __force_inline void virtq_row_commit(struct virtq *q, const struct virtq_row *r)
{
	q->served += (uint16_t)(r->last - q->last_avail);
	q->last_avail = r->last;
	q->used_idx = r->used_idx;
}

#endif
