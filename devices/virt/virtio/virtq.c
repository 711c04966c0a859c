/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/virtio/virtq.h"

#include <string.h>

#include "devices/virt/virtio/virtio_priv.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

/* Descriptor (2.7.5): address, then length, flags and next in one word. */
#define DESC_SIZE     16u
#define DESC_NEXT     BIT(32)
#define DESC_WRITE    BIT(33)
#define DESC_INDIRECT BIT(34)
#define DESC_NEXT_SHIFT 48u

/* Rings: flags u16, idx u16, then entries, then the other side's event index (2.7.6, 2.7.8). */
#define RING_IDX      2u
#define RING_ENTRIES  4u
#define USED_ENTRY    8u
#define AVAIL_NO_INTERRUPT 1u

typedef volatile uint16_t ring16;
typedef volatile uint32_t ring32;
typedef volatile uint64_t ring64;

static struct gmem *memory(const struct virtq *q)
{
	return &q->dev->dev.vm->mem;
}

int virtq_init(struct virtq *q, struct virtio_dev *dev, uint16_t index, uint16_t size_max)
{
	memset(q, 0, sizeof(*q));
	spin_lock_init(&q->lock, LOCK_ORDER_VQUEUE);
	q->dev = dev;
	q->index = index;
	q->size_max = size_max;
	q->seg_max = size_max + VIRTQ_SEGS_SPARE;
	q->chain.seg = kcalloc(q->seg_max, sizeof(*q->chain.seg), MEM_VDEV);
	if (!q->chain.seg)
		return -RAY_ENOMEM;
	virtq_reset(q);
	return 0;
}

void virtq_fini(struct virtq *q)
{
	kfree(q->chain.seg);
	kfree(q->gpa);
	q->chain.seg = NULL;
	q->gpa = NULL;
}

int virtq_addresses(struct virtq *q)
{
	q->gpa = kcalloc(q->seg_max, sizeof(*q->gpa), MEM_VDEV);
	return q->gpa ? 0 : -RAY_ENOMEM;
}

void virtq_reset(struct virtq *q)
{
	q->enabled = q->wanted = false;
	q->event_idx = q->indirect = false;
	q->size = q->size_max;
	q->vector = VIRTQ_NO_VECTOR;
	q->desc = q->avail = q->used = 0;
	q->last_avail = q->used_idx = q->used_told = q->signalled = 0;
	q->absent_len = 0;
}

/* --- rings in guest memory --- */

/* Not there: given back by the guest, or never RAM. */
static __noinline int missing(struct virtq *q, uint64_t gpa, uint32_t len, const char *why)
{
	if (gmem_is_ram(memory(q), GPA(gpa), len)) {
		q->absent = gpa;
		q->absent_len = len;
		return -RAY_EAGAIN;
	}
	virtio_dev_break(q->dev, why);
	return -RAY_EPROTO;
}

static inline int ring_read16(struct virtq *q, uint64_t gpa, uint16_t *out)
{
	const void *p = gmem_span(memory(q), GPA(gpa), sizeof(*out));

	*out = 0;
	if (unlikely(!p))
		return missing(q, gpa, sizeof(*out), "ring outside memory");
	*out = __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE);
	return 0;
}

static inline int ring_write16(struct virtq *q, uint64_t gpa, uint16_t value)
{
	void *p = gmem_ptr_write(memory(q), GPA(gpa), sizeof(value));

	if (unlikely(!p))
		return missing(q, gpa, sizeof(value), "ring outside memory");
	__atomic_store_n((uint16_t *)p, value, __ATOMIC_RELEASE);
	return 0;
}

/* --- the next chain --- */

/* A walk in progress: where descriptors come from, and how many more there may be. */
struct walk {
	struct virtq *q;
	uint64_t table;        /* gpa */
	const ring64 *fixed;   /* the same in host memory, when it lies in one piece */
	uint32_t entries;
	uint32_t budget;       /* descriptors left: a chain is no longer than its queue (2.7.5.2) */
	bool indirect;
	uint64_t out_len, in_len;
};

static int broken(struct virtq *q, const char *why)
{
	virtio_dev_break(q->dev, why);
	return -RAY_EPROTO;
}

static void table_set(struct walk *w, uint64_t gpa, uint32_t entries)
{
	w->table = gpa;
	w->entries = entries;
	w->fixed = gmem_span(memory(w->q), GPA(gpa), (uint64_t)entries * DESC_SIZE);
}

static inline int descriptor_read(struct walk *w, uint32_t i, uint64_t *addr, uint64_t *rest)
{
	const ring64 *p = w->fixed;

	*addr = *rest = 0;
	if (likely(p)) {
		p += i * 2;
	} else {
		uint64_t gpa = w->table + (uint64_t)i * DESC_SIZE;

		p = gmem_span(memory(w->q), GPA(gpa), DESC_SIZE);
		if (!p)
			return missing(w->q, gpa, DESC_SIZE, "descriptor outside memory");
	}
	*addr = p[0];
	*rest = p[1];
	return 0;
}

/* A buffer as pieces of host memory: it may cross chunks. */
static inline int pieces_add(struct walk *w, uint64_t gpa, uint32_t len, bool write)
{
	struct virtq_chain *c = &w->q->chain;

	while (len > 0) {
		uint32_t n = (uint32_t)MIN((uint64_t)len,
					   GMEM_CHUNK_SIZE - gpa % GMEM_CHUNK_SIZE);
		uint32_t at = (uint32_t)c->out_count + c->in_count;
		void *p = write ? gmem_ptr_write(memory(w->q), GPA(gpa), n) :
				  gmem_span(memory(w->q), GPA(gpa), n);

		if (unlikely(!p))
			return missing(w->q, gpa, n, "buffer outside memory");
		if (unlikely(at == w->q->seg_max))
			return broken(w->q, "buffers in too many pieces");
		c->seg[at] = (struct virtq_seg){.p = p, .len = n};
		if (write)
			c->in_count++;
		else
			c->out_count++;
		gpa += n;
		len -= n;
	}
	return 0;
}

static int address_add(struct walk *w, uint64_t gpa, uint32_t len, bool write)
{
	struct virtq_chain *c = &w->q->chain;
	uint32_t at = (uint32_t)c->out_count + c->in_count;

	if (at == w->q->seg_max)
		return broken(w->q, "buffers in too many pieces");
	w->q->gpa[at] = gpa;
	c->seg[at] = (struct virtq_seg){.len = len};
	if (write)
		c->in_count++;
	else
		c->out_count++;
	return 0;
}

/* Into an indirect table (2.7.5.3). */
static int indirect_enter(struct walk *w, uint64_t addr, uint64_t rest)
{
	uint32_t len = (uint32_t)rest;

	if (!w->q->indirect)
		return broken(w->q, "indirect descriptor, not negotiated");
	if (w->indirect)
		return broken(w->q, "indirect descriptor in an indirect table");
	if (rest & DESC_NEXT)
		return broken(w->q, "indirect descriptor with a next one");
	if (len == 0 || len % DESC_SIZE)
		return broken(w->q, "indirect table of a broken length");
	w->indirect = true;
	table_set(w, addr, len / DESC_SIZE);
	return 0;
}

static int buffer_add(struct walk *w, uint64_t addr, uint64_t rest)
{
	uint32_t len = (uint32_t)rest;
	bool write = (rest & DESC_WRITE) != 0;
	uint64_t *total = write ? &w->in_len : &w->out_len;

	if (unlikely(!write && w->q->chain.in_count))
		return broken(w->q, "readable buffer behind a writable one");
	*total += len;
	if (unlikely(*total > UINT32_MAX))
		return broken(w->q, "chain longer than 4 GiB");
	if (unlikely(w->q->by_address))
		return address_add(w, addr, len, write);
	return pieces_add(w, addr, len, write);
}

static int chain_walk(struct virtq *q, uint16_t head)
{
	struct walk w = {.q = q, .budget = q->size};
	struct virtq_chain *c = &q->chain;
	uint32_t i = head;

	c->head = head;
	c->out_count = c->in_count = 0;
	table_set(&w, q->desc, q->size);
	for (;;) {
		uint64_t addr, rest;
		int err;

		if (unlikely(i >= w.entries))
			return broken(q, "descriptor index outside its table");
		err = descriptor_read(&w, i, &addr, &rest);
		if (unlikely(err))
			return err;
		if (rest & DESC_INDIRECT) {
			err = indirect_enter(&w, addr, rest);
			if (unlikely(err))
				return err;
			i = 0;
			continue;
		}
		if (unlikely(w.budget-- == 0))
			return broken(q, "chain longer than its queue");
		err = buffer_add(&w, addr, rest);
		if (unlikely(err))
			return err;
		if (!(rest & DESC_NEXT))
			break;
		i = (uint32_t)(rest >> DESC_NEXT_SHIFT);
	}
	c->out_len = (uint32_t)w.out_len;
	c->in_len = (uint32_t)w.in_len;
	return 0;
}

/* Ask to be told of the next chain; 1 when one has come meanwhile. */
static int notify_ask(struct virtq *q, uint16_t *idx)
{
	int err = 0;

	if (q->event_idx)
		err = ring_write16(q, q->used + RING_ENTRIES + (uint64_t)q->size * USED_ENTRY,
				   q->last_avail);
	if (err)
		return err;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	err = ring_read16(q, q->avail + RING_IDX, idx);
	return err ? err : *idx != q->last_avail;
}

int virtq_next(struct virtq *q, struct virtq_chain **out)
{
	uint16_t idx, head;
	int err = ring_read16(q, q->avail + RING_IDX, &idx);

	if (unlikely(err))
		return err;
	if (idx == q->last_avail) {
		err = notify_ask(q, &idx);
		if (err <= 0)
			return err;
	}
	if (unlikely((uint16_t)(idx - q->last_avail) > q->size))
		return broken(q, "available index beyond the queue");
	err = ring_read16(q, q->avail + RING_ENTRIES + 2ull * (q->last_avail & (q->size - 1u)),
			  &head);
	if (unlikely(err))
		return err;
	err = chain_walk(q, head);
	if (unlikely(err))
		return err;
	*out = &q->chain;
	return 1;
}

uint16_t virtq_available(struct virtq *q)
{
	uint16_t idx;

	if (ring_read16(q, q->avail + RING_IDX, &idx))
		return 0;
	return (uint16_t)(idx - q->last_avail);
}

void virtq_take(struct virtq *q)
{
	q->last_avail++;
	q->served++;
}

/* --- giving back --- */

void virtq_put(struct virtq *q, uint16_t head, uint32_t written)
{
	uint64_t gpa = q->used + RING_ENTRIES + (uint64_t)(q->used_idx & (q->size - 1u)) * USED_ENTRY;
	ring32 *id = gmem_ptr_write(memory(q), GPA(gpa), 4);
	/* Aligned to four bytes only (2.7.8): the halves may lie in different chunks. */
	ring32 *len = gmem_ptr_write(memory(q), GPA(gpa + 4), 4);

	if (unlikely(!id || !len)) {
		virtio_dev_break(q->dev, "used ring outside memory");
		return;
	}
	*id = head;
	*len = written;
	q->used_idx++;
}

/* Whether the driver wants to hear of what is used since the last look (2.7.7, 2.7.10). */
static bool wants_interrupt(struct virtq *q)
{
	uint16_t old = q->signalled, now = q->used_idx, word;

	q->signalled = now;
	if (q->event_idx) {
		if (ring_read16(q, q->avail + RING_ENTRIES + 2ull * q->size, &word))
			return false;
		return (uint16_t)(now - word - 1) < (uint16_t)(now - old);
	}
	return !ring_read16(q, q->avail, &word) && !(word & AVAIL_NO_INTERRUPT);
}

void virtq_flush(struct virtq *q)
{
	if (q->used_idx == q->used_told || ring_write16(q, q->used + RING_IDX, q->used_idx))
		return;
	q->used_told = q->used_idx;
	/* The driver reads used->idx after it writes what wants_interrupt() reads. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (wants_interrupt(q))
		virtq_interrupt(q);
}

void virtq_interrupt(struct virtq *q)
{
	q->interrupts++;
	virtio_irq_queue(q->dev, q);
}
