/* SPDX-License-Identifier: Apache-2.0 */
/* Virtio: split rings from the driver's side (virtio 1.2, 2.7). */
#include <string.h>

#include "devices/host/virtio/hvio.h"
#include "devices/host/virtio/hvio_priv.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"
#include "kernel/mmio.h"

/* Both rings: flags, idx, then entries (2.7.6, 2.7.8). */
#define RING_FLAGS     0u
#define RING_IDX       2u
#define RING_ENTRIES   4u
#define USED_ENTRY     8u
#define USED_NO_NOTIFY 1u
#define ALIGN_USED     4u

static uint16_t *half(const struct hvio_ring *r, uint32_t off)
{
	return (uint16_t *)(void *)((char *)r->rings.va + off);
}

/* --- life --- */

void hvio_ring_fini(struct hvio_ring *r)
{
	if (!r->v)
		return;
	dma_free(r->v->pci, &r->rings);
	dma_free(r->v->pci, &r->tables);
}

/* How requests share the ring's descriptors. */
static int slots_init(struct hvio_ring *r, uint16_t segs_max)
{
	bool indirect = hvio_has(r->v, VIRTIO_F_INDIRECT_DESC);

	r->segs_max = MIN(segs_max, r->size);
	r->step = indirect ? 1 : r->segs_max;
	/* Several requests at once are worth more than long ones. */
	if (!indirect && r->size / r->step < 8 && r->size >= 32)
		r->segs_max = r->step = r->size / 8;
	r->slots = r->size / r->step;
	if (!indirect)
		return 0;
	return dma_alloc(r->v->pci, (size_t)r->slots * r->segs_max * sizeof(struct hvio_desc),
			 UINT64_MAX, &r->tables);
}

int hvio_ring_init(struct hvio_ring *r, struct hvio *v, uint16_t index, uint16_t segs_max)
{
	uint16_t size;
	size_t bytes;
	int err;

	r->v = v;
	r->index = index;
	spin_lock_init(&r->lock, LOCK_ORDER_DRIVER);
	size = hvio_queue_size(v, index);
	if (size < 4 || (size & (size - 1)))
		return -RAY_ENOSYS;
	r->size = MIN(size, HVIO_RING_MAX);
	r->avail_at = r->size * (uint32_t)sizeof(struct hvio_desc);
	r->used_at = ALIGN_UP(r->avail_at + RING_ENTRIES + 2u * r->size + 2u, ALIGN_USED);
	bytes = r->used_at + RING_ENTRIES + USED_ENTRY * (size_t)r->size + 2u;
	err = dma_alloc(v->pci, bytes, UINT64_MAX, &r->rings);
	if (!err)
		err = slots_init(r, segs_max);
	return err;
}

int hvio_ring_enable(struct hvio_ring *r, uint16_t vector)
{
	const struct hvio_queue_place place = {
		.size = r->size, .vector = vector, .desc = r->rings.addr.v,
		.avail = r->rings.addr.v + r->avail_at, .used = r->rings.addr.v + r->used_at,
	};
	int err;

	memset(r->rings.va, 0, r->rings.size);
	r->avail_idx = r->used_idx = 0;
	r->free_count = 0;
	for (uint16_t i = 0; i < r->slots; i++) {
		r->busy[i] = false;
		r->free[r->free_count++] = i;
	}
	err = hvio_queue_enable(r->v, r->index, &place, &r->notify);
	r->on = !err;
	return err;
}

void hvio_ring_off(struct hvio_ring *r)
{
	uint64_t flags = spin_lock_irqsave(&r->lock);

	__atomic_store_n(&r->on, false, __ATOMIC_SEQ_CST);
	spin_unlock_irqrestore(&r->lock, flags);
	while (__atomic_load_n(&r->serving, __ATOMIC_SEQ_CST))
		cpu_relax();
}

/* --- requests --- */

int hvio_slot_take(struct hvio_ring *r)
{
	uint16_t slot;

	if (r->free_count == 0 || !r->on)
		return -RAY_EAGAIN;
	slot = r->free[--r->free_count];
	r->busy[slot] = true;
	return slot;
}

void hvio_slot_give(struct hvio_ring *r, uint16_t slot)
{
	r->busy[slot] = false;
	r->free[r->free_count++] = slot;
}

static bool indirect(const struct hvio_ring *r)
{
	return r->tables.size != 0;
}

struct hvio_desc *hvio_slot_descs(const struct hvio_ring *r, uint16_t slot)
{
	struct hvio_desc *d = indirect(r) ? r->tables.va : r->rings.va;

	return d + (size_t)slot * (indirect(r) ? r->segs_max : r->step);
}

void hvio_submit(struct hvio_ring *r, uint16_t slot, uint16_t n)
{
	struct hvio_desc *d = hvio_slot_descs(r, slot);
	uint16_t first = indirect(r) ? 0 : (uint16_t)(slot * r->step);
	uint16_t head = (uint16_t)(slot * r->step);

	for (uint16_t i = 0; i + 1u < n; i++) {
		d[i].flags |= VIRTIO_DESC_NEXT;
		d[i].next = (uint16_t)(first + i + 1u);
	}
	if (indirect(r))
		((struct hvio_desc *)r->rings.va)[slot] = (struct hvio_desc){
			.addr = r->tables.addr.v + (uint64_t)slot * r->segs_max * sizeof(*d),
			.len = n * (uint32_t)sizeof(*d), .flags = VIRTIO_DESC_INDIRECT,
		};
	*half(r, r->avail_at + RING_ENTRIES + 2u * (r->avail_idx & (r->size - 1u))) = head;
	r->avail_idx++;
	/* The index last: what it makes available is whole (2.7.13.3). */
	__atomic_store_n(half(r, r->avail_at + RING_IDX), r->avail_idx, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* before the device's wish is looked at (2.7.13.4) */
	if (!(*(volatile uint16_t *)half(r, r->used_at + RING_FLAGS) & USED_NO_NOTIFY))
		mmio_write16(r->v->notify.regs, r->notify, r->index);
}

/* The slot of a used entry; -RAY_EINVAL: there is none such under way. */
static int slot_of(const struct hvio_ring *r, uint32_t id)
{
	uint32_t slot = id / r->step;

	return id % r->step == 0 && slot < r->slots && r->busy[slot] ? (int)slot : -RAY_EINVAL;
}

/* The next used entry, copied once. */
static bool used_next(struct hvio_ring *r, uint32_t *id, uint32_t *len)
{
	const volatile uint32_t *e;

	if (__atomic_load_n(half(r, r->used_at + RING_IDX), __ATOMIC_ACQUIRE) == r->used_idx)
		return false;
	e = (const volatile uint32_t *)(const void *)
		((char *)r->rings.va + r->used_at + RING_ENTRIES +
		 USED_ENTRY * (r->used_idx & (r->size - 1u)));
	*id = e[0];
	*len = e[1];
	r->used_idx++;
	return true;
}

static void serve(struct hvio_ring *r)
{
	uint32_t id, len;

	/* A device that never stops gets one round, and another interrupt for the next. */
	for (unsigned int n = 0; n < r->size && __atomic_load_n(&r->on, __ATOMIC_SEQ_CST) &&
				 used_next(r, &id, &len); n++) {
		uint64_t flags = spin_lock_irqsave(&r->lock);
		int slot = slot_of(r, id);

		spin_unlock_irqrestore(&r->lock, flags);
		if (slot < 0) {
			r->nonsense(r);
			return;
		}
		r->done(r, (uint16_t)slot, len);
	}
}

void hvio_interrupt(void *arg)
{
	struct hvio_ring *r = arg;

	__atomic_store_n(&r->serving, true, __ATOMIC_SEQ_CST);
	serve(r);
	__atomic_store_n(&r->serving, false, __ATOMIC_RELEASE);
}
