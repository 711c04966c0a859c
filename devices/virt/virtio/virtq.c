/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/virtio/virtq.h"

#include <string.h>

#include "devices/virt/virtio/virtio_priv.h"
#include "devices/virt/virtio/virtq_ring.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

int virtq_init(struct virtq *q, struct virtio_dev *dev, uint16_t index, uint16_t size_max)
{
	memset(q, 0, sizeof(*q));
	spin_lock_init(&q->lock, LOCK_ORDER_VQUEUE);
	q->dev = dev;
	q->mem = &dev->dev.vm->mem;
	q->index = index;
	q->size_max = size_max;
	q->turn = UINT64_MAX;
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
	q->vector = VIRTIO_NO_VECTOR;
	q->desc = q->avail = q->used = 0;
	q->desc_at = q->avail_at = q->used_at = (struct gmem_place){.chunk = NULL};
	q->last_avail = q->used_idx = q->used_told = q->signalled = 0;
	q->absent_len = 0;
}

/* --- rings in guest memory --- */

/* The avail ring ends with used_event, the used ring with avail_event. */
static uint32_t avail_bytes(const struct virtq *q)
{
	return RING_ENTRIES + AVAIL_ENTRY * q->size + 2u;
}

static uint32_t used_bytes(const struct virtq *q)
{
	return RING_ENTRIES + USED_ENTRY * q->size + 2u;
}

void virtq_locate(struct virtq *q)
{
	q->desc_at = gmem_place_find(q->mem, GPA(q->desc), (uint64_t)q->size * DESC_SIZE);
	q->avail_at = gmem_place_find(q->mem, GPA(q->avail), avail_bytes(q));
	q->used_at = gmem_place_find(q->mem, GPA(q->used), used_bytes(q));
}

static __noinline int broken(struct virtq *q, const char *why)
{
	virtio_dev_break(q->dev, why);
	return -RAY_EPROTO;
}

/* Not there: given back by the guest, or never RAM. */
static __noinline int missing(struct virtq *q, uint64_t gpa, uint32_t len, const char *why)
{
	if (!gmem_is_ram(q->mem, GPA(gpa), len))
		return broken(q, why);
	q->absent = gpa;
	q->absent_len = len;
	return -RAY_EAGAIN;
}

/* Where the rings lie is known in all but few cases; functions of their own do the others. */
static __noinline int avail_read_slow(struct virtq *q, uint32_t off)
{
	const uint16_t *p = gmem_span(q->mem, GPA(q->avail + off), sizeof(*p));

	if (!p)
		return missing(q, q->avail + off, sizeof(*p), "ring outside memory");
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* A word of the available ring, or an error. */
static __force_inline int avail_read(struct virtq *q, uint32_t off)
{
	char *ring;

	if (unlikely(!gmem_place_get(&q->avail_at, &ring)))
		return avail_read_slow(q, off);
	return __atomic_load_n((const uint16_t *)(ring + off), __ATOMIC_ACQUIRE);
}

static __noinline int used_write_slow(struct virtq *q, uint32_t off, uint16_t value)
{
	uint16_t *p = gmem_ptr_write(q->mem, GPA(q->used + off), sizeof(value));

	if (!p)
		return missing(q, q->used + off, sizeof(value), "ring outside memory");
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
	return 0;
}

static __force_inline int used_write(struct virtq *q, uint32_t off, uint16_t value)
{
	char *ring;

	if (unlikely(!gmem_place_get_write(q->mem, &q->used_at, &ring)))
		return used_write_slow(q, off, value);
	__atomic_store_n((uint16_t *)(ring + off), value, __ATOMIC_RELEASE);
	return 0;
}

/* --- the next chain --- */

/*
 * A walk in progress: where descriptors come from, and how many more there may be. Everything
 * that is called for each descriptor is inline, so that it lives in registers.
 */
struct walk {
	struct virtq *q;
	uint64_t table;        /* gpa */
	const ring64 *fixed;   /* the same in host memory, when it lies in one piece */
	uint32_t entries;
	uint32_t budget;       /* descriptors left: a chain is no longer than its queue (2.7.5.2) */
	bool indirect;
	struct virtq_seg *seg; /* the next to be filled */
	struct virtq_seg *in;  /* the first of the device-writable part, NULL before it */
	uint64_t out_len, in_len;
};

static __force_inline const ring64 *descriptor_find(const struct walk *w, uint32_t i)
{
	if (likely(w->fixed))
		return w->fixed + i * 2;
	return gmem_span(w->q->mem, GPA(w->table + (uint64_t)i * DESC_SIZE), DESC_SIZE);
}

/*
 * A buffer that crosses chunks, in pieces; or one that is not there. @at segments are filled.
 * Returns: how many are then, or an error.
 */
static __noinline int pieces_add(struct virtq *q, uint32_t at, uint64_t gpa, uint32_t len,
				 bool write)
{
	while (len > 0) {
		uint32_t n = (uint32_t)MIN((uint64_t)len,
					   GMEM_CHUNK_SIZE - gpa % GMEM_CHUNK_SIZE);
		void *p = write ? gmem_ptr_write(q->mem, GPA(gpa), n) :
				  gmem_span(q->mem, GPA(gpa), n);

		if (!p)
			return missing(q, gpa, n, "buffer outside memory");
		if (at == q->seg_max)
			return broken(q, "buffers in too many pieces");
		q->chain.seg[at++] = (struct virtq_seg){.p = p, .len = n};
		gpa += n;
		len -= n;
	}
	return (int)at;
}

/* Into an indirect table (2.7.5.3). */
static __force_inline int indirect_enter(struct walk *w, const struct desc *d)
{
	if (unlikely(!w->q->indirect))
		return broken(w->q, "indirect descriptor, not negotiated");
	if (unlikely(w->indirect))
		return broken(w->q, "indirect descriptor in an indirect table");
	if (unlikely(d->flags & DESC_NEXT))
		return broken(w->q, "indirect descriptor with a next one");
	if (unlikely(d->len == 0 || d->len % DESC_SIZE))
		return broken(w->q, "indirect table of a broken length");
	w->indirect = true;
	w->table = d->addr;
	w->entries = d->len / DESC_SIZE;
	w->fixed = gmem_span(w->q->mem, GPA(d->addr), d->len);
	return 0;
}

static __force_inline bool too_long(const struct walk *w)
{
	return w->out_len > UINT32_MAX || w->in_len > UINT32_MAX;
}

/*
 * A buffer that is named only (virtq_addresses()). Everything by value, as for pieces_add(), so
 * that the walk stays in registers.
 */
static __noinline int address_add(struct virtq *q, uint32_t at, uint64_t gpa, uint32_t len)
{
	if (at == q->seg_max)
		return broken(q, "buffers in too many pieces");
	q->gpa[at] = gpa;
	q->chain.seg[at] = (struct virtq_seg){.len = len};
	return (int)at + 1;
}

static __force_inline int buffer_add(struct walk *w, const struct desc *d)
{
	struct virtq_chain *c = &w->q->chain;
	bool write = (d->flags & DESC_WRITE) != 0, named = w->q->by_address;
	void *p = NULL;
	uint32_t at;
	int n;

	if (write) {
		w->in = w->in ? w->in : w->seg;
		w->in_len += d->len;
		if (likely(!named))
			p = gmem_ptr_write(w->q->mem, GPA(d->addr), d->len);
	} else {
		if (unlikely(w->in))
			return broken(w->q, "readable buffer behind a writable one");
		w->out_len += d->len;
		if (likely(!named))
			p = gmem_span(w->q->mem, GPA(d->addr), d->len);
	}
	if (likely(p && d->len && w->seg < c->seg + w->q->seg_max)) {
		*w->seg++ = (struct virtq_seg){.p = p, .len = d->len};
		return 0;
	}
	if (too_long(w))
		return broken(w->q, "chain longer than 4 GiB");
	at = (uint32_t)(w->seg - c->seg);
	n = named ? address_add(w->q, at, d->addr, d->len) :
		    pieces_add(w->q, at, d->addr, d->len, write);
	if (n < 0)
		return n;
	w->seg = c->seg + n;
	return 0;
}

static __force_inline int descriptor_add(struct walk *w, const struct desc *d)
{
	if (unlikely(w->budget-- == 0))
		return broken(w->q, "chain longer than its queue");
	return buffer_add(w, d);
}

/*
 * The buffers behind *d that are like it, each in one piece of low memory and its descriptor in
 * the same table: most of a long chain. Ends with the first that is not, read into *d, for which
 * everything is to be looked at. Returns: false: there is no such, its index is *next.
 */
static __force_inline bool alike_add(struct walk *w, struct desc *d, uint32_t *next)
{
	const struct gmem *mem = w->q->mem;
	const ring64 *fixed = w->fixed;
	const uint32_t kind = d->flags & DESC_KIND;
	struct virtq_seg *seg = w->seg, *begin = seg, *end = w->q->chain.seg + w->q->seg_max;
	size_t i = d->flags >> DESC_NEXT_SHIFT, entries = w->entries;
	uint64_t len = 0;
	bool read = false;

	if ((size_t)(end - seg) > w->budget)
		end = seg + w->budget;
	while (likely(i < entries)) {
		void *p;

		*d = desc_make(fixed[i * 2], fixed[i * 2 + 1]);
		read = (d->flags & DESC_KIND) != kind || unlikely(d->len == 0) ||
		       unlikely(seg == end) ||
		       unlikely(!gmem_low(mem, GPA(d->addr), d->len, &p)) || unlikely(!p);
		if (read)
			break;
		*seg++ = (struct virtq_seg){.p = p, .len = d->len};
		len += d->len;
		i = d->flags >> DESC_NEXT_SHIFT;
	}
	w->seg = seg;
	w->budget -= (uint32_t)(seg - begin);
	*(kind & DESC_WRITE ? &w->in_len : &w->out_len) += len;
	*next = (uint32_t)i;
	return read;
}

/* Whether alike_add() may be asked for what is like *d. */
static __force_inline bool alike_plain(const struct walk *w, const struct desc *d)
{
	return w->fixed && !w->q->by_address &&
	       (!(d->flags & DESC_WRITE) || w->q->mem->plain_writes);
}

static __force_inline int chain_end(const struct walk *w, uint16_t head)
{
	struct virtq_chain *c = &w->q->chain;
	const struct virtq_seg *in = w->in ? w->in : w->seg;

	if (unlikely(too_long(w)))
		return broken(w->q, "chain longer than 4 GiB");
	c->head = head;
	c->descs = (uint16_t)(w->q->size_max - w->budget);
	c->out_count = (uint16_t)(in - c->seg);
	c->in_count = (uint16_t)(w->seg - in);
	c->out_len = (uint32_t)w->out_len;
	c->in_len = (uint32_t)w->in_len;
	return 0;
}

/*
 * A chain, of whose first descriptor @addr and @rest have been read already. @table: it is an
 * indirect one, which mostly are long; looking out for what is alike costs a short chain more
 * than it saves.
 * A chain may be as long as the device's queue (2.7.5.3.1), also where the driver made the queue
 * shorter: Linux' drivers then go on by the device's own limits.
 */
static __force_inline int walk(struct virtq *q, uint16_t head, const ring64 *fixed, uint64_t addr,
			       uint64_t rest, bool table)
{
	struct walk w = {.q = q, .budget = q->size_max, .seg = q->chain.seg, .table = q->desc,
			 .fixed = fixed, .entries = q->size};
	struct desc d = desc_make(addr, rest);
	uint32_t kind = 0; /* of the one before */

	for (;;) {
		const ring64 *at;
		uint32_t i = 0;
		int err;

		if (d.flags & DESC_INDIRECT) {
			err = indirect_enter(&w, &d);
		} else {
			err = descriptor_add(&w, &d);
			if (likely(!err) && !(d.flags & DESC_NEXT))
				return chain_end(&w, head);
			i = d.flags >> DESC_NEXT_SHIFT;
			if (table && kind == (d.flags & DESC_KIND) && likely(!err) &&
			    alike_plain(&w, &d) && alike_add(&w, &d, &i))
				continue;
			kind = d.flags & DESC_KIND;
		}
		if (unlikely(err))
			return err;
		if (unlikely(i >= w.entries))
			return broken(q, "descriptor index outside its table");
		at = descriptor_find(&w, i);
		if (unlikely(!at))
			return missing(q, w.table + (uint64_t)i * DESC_SIZE, DESC_SIZE,
				       "descriptor outside memory");
		addr = at[0];
		rest = at[1];
		d = desc_make(addr, rest);
	}
}

static __noinline int chain_walk(struct virtq *q, uint16_t head, const ring64 *fixed,
				 uint64_t addr, uint64_t rest)
{
	return walk(q, head, fixed, addr, rest, false);
}

static __noinline int table_walk(struct virtq *q, uint16_t head, const ring64 *fixed,
				 uint64_t addr, uint64_t rest)
{
	return walk(q, head, fixed, addr, rest, true);
}

/*
 * A buffer that is a chain of its own and lies in one piece, as those of a network card mostly
 * do. Returns: false: it is not.
 */
static __force_inline bool chain_single(struct virtq *q, uint16_t head, const struct desc d)
{
	bool write = (d.flags & DESC_WRITE) != 0;
	struct virtq_chain *c = &q->chain;
	void *p;

	if ((d.flags & (DESC_NEXT | DESC_INDIRECT)) || unlikely(q->by_address || d.len == 0))
		return false;
	p = write ? gmem_ptr_write(q->mem, GPA(d.addr), d.len) :
		    gmem_span(q->mem, GPA(d.addr), d.len);
	if (unlikely(!p))
		return false;
	c->seg[0] = (struct virtq_seg){.p = p, .len = d.len};
	c->head = head;
	c->descs = 1;
	c->out_count = !write;
	c->in_count = write;
	c->out_len = write ? 0 : d.len;
	c->in_len = write ? d.len : 0;
	return true;
}

/* The chain that begins at @head, into q->chain. */
static __force_inline int chain_read(struct virtq *q, uint16_t head)
{
	const ring64 *fixed = NULL, *at;
	uint64_t addr, rest;
	char *table;

	if (unlikely(head >= q->size))
		return broken(q, "descriptor index outside its table");
	if (likely(gmem_place_get(&q->desc_at, &table))) {
		fixed = (const ring64 *)(uintptr_t)table;
		at = fixed + head * 2u;
	} else {
		uint64_t gpa = q->desc + (uint64_t)head * DESC_SIZE;

		at = gmem_span(q->mem, GPA(gpa), DESC_SIZE);
		if (unlikely(!at))
			return missing(q, gpa, DESC_SIZE, "descriptor outside memory");
	}
	addr = at[0];
	rest = at[1];
	if (chain_single(q, head, desc_make(addr, rest)))
		return 0;
	if (desc_make(addr, rest).flags & DESC_INDIRECT)
		return table_walk(q, head, fixed, addr, rest);
	return chain_walk(q, head, fixed, addr, rest);
}

/* Ask to be told of the next chain; the ring's index, or an error. */
static int notify_ask(struct virtq *q)
{
	int err = 0;

	if (q->event_idx)
		err = used_write(q, RING_ENTRIES + USED_ENTRY * q->size, q->last_avail);
	if (unlikely(err))
		return err;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return avail_read(q, RING_IDX);
}

int virtq_next(struct virtq *q, struct virtq_chain **out)
{
	int idx = avail_read(q, RING_IDX), head, err;

	if (idx == q->last_avail)
		idx = notify_ask(q);
	if (unlikely(idx < 0))
		return idx;
	if (idx == q->last_avail)
		return 0;
	if (unlikely((uint16_t)(idx - q->last_avail) > q->size))
		return broken(q, "available index beyond the queue");
	if (unlikely(q->turn == 0))
		return -RAY_EAGAIN;
	head = avail_read(q, RING_ENTRIES + AVAIL_ENTRY * (q->last_avail & (q->size - 1u)));
	if (unlikely(head < 0))
		return head;
	err = chain_read(q, (uint16_t)head);
	if (unlikely(err))
		return err;
	*out = &q->chain;
	return 1;
}

int virtq_again(struct virtq *q, uint16_t head, struct virtq_chain **out)
{
	int err = chain_read(q, head);

	if (unlikely(err))
		return err;
	*out = &q->chain;
	return 1;
}

uint16_t virtq_available(struct virtq *q)
{
	int idx = avail_read(q, RING_IDX);

	return idx < 0 ? 0 : (uint16_t)(idx - q->last_avail);
}

/* --- giving back --- */

/* A used ring may be aligned to four bytes only (2.7.8): the halves of an entry may lie in
 * different chunks. */
static __noinline void put_slow(struct virtq *q, uint32_t off, uint32_t head, uint32_t written)
{
	ring32 *id = gmem_ptr_write(q->mem, GPA(q->used + off), sizeof(*id));
	ring32 *len = gmem_ptr_write(q->mem, GPA(q->used + off + 4), sizeof(*len));

	if (!id || !len) {
		virtio_dev_break(q->dev, "used ring outside memory");
		return;
	}
	*id = head;
	*len = written;
	q->used_idx++;
}

void virtq_put(struct virtq *q, uint16_t head, uint32_t written)
{
	uint32_t off = RING_ENTRIES + USED_ENTRY * (q->used_idx & (q->size - 1u));
	char *ring;

	if (unlikely(!gmem_place_get_write(q->mem, &q->used_at, &ring))) {
		put_slow(q, off, head, written);
		return;
	}
	*(ring32 *)(uintptr_t)(ring + off) = head;
	*(ring32 *)(uintptr_t)(ring + off + 4) = written;
	q->used_idx++;
}

/* Whether the driver wants to hear of what is used since the last look (2.7.7, 2.7.10). */
static __force_inline bool wants_interrupt(struct virtq *q)
{
	uint16_t old = q->signalled, now = q->used_idx;
	int word;

	q->signalled = now;
	if (q->event_idx) {
		word = avail_read(q, RING_ENTRIES + AVAIL_ENTRY * q->size);
		return word >= 0 && (uint16_t)(now - (uint16_t)word - 1) < (uint16_t)(now - old);
	}
	word = avail_read(q, RING_FLAGS);
	return word >= 0 && !((uint32_t)word & AVAIL_NO_INTERRUPT);
}

void virtq_flush(struct virtq *q)
{
	if (q->used_idx == q->used_told || used_write(q, RING_IDX, q->used_idx))
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
