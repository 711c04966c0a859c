/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk in memory that takes 64 KiB pieces as they are written to, over an unchanging base or
 * over nothing.
 * Owns: the pieces and the table that finds them. Must not know: where the base comes from.
 *
 * Locking: none. A slot of the table changes by compare-and-swap; who has found a piece may
 * copy from or to it until it leaves its epoch section, so a piece taken out of the table is
 * freed by epoch. Requests that overlap have no order: a write into a piece that is being
 * discarded may be lost, as may be the discard.
 */
#include <string.h>

#include "devices/virt/back/blk_back.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"
#include "security/quota.h"

#define PIECE_ORDER 4u
#define PIECE_SIZE  (PAGE_SIZE << PIECE_ORDER)
#define LEAF_SLOTS  512u
/* Disks leave the rest of the kernel this much of the host's memory. */
#define HOST_RESERVE MIB(32)
#define CLOSE_WAIT_NS 1000000ull

struct piece {
	struct epoch_entry epoch;
	struct thin *owner;
	uint8_t *data;
};

/* In a slot: NULL, the base shows; ZERO, zeros where the base would; else a piece. */
#define ZERO ((struct piece *)1)

struct leaf {
	struct piece *slot[LEAF_SLOTS];
};

struct thin {
	struct blk_back back;
	struct quota *quota;
	const uint8_t *base;
	uint64_t base_size;
	uint64_t leaves;
	uint64_t dying;     /* pieces that wait for their epoch; atomic */
	struct leaf **leaf; /* leaves of them, NULL: nothing there was ever written */
};

/* --- finding --- */

static inline struct piece **slot_of(const struct thin *t, uint64_t i)
{
	struct leaf *leaf = __atomic_load_n(&t->leaf[i / LEAF_SLOTS], __ATOMIC_ACQUIRE);

	return likely(leaf) ? &leaf->slot[i % LEAF_SLOTS] : NULL;
}

static inline struct piece *piece_of(const struct thin *t, uint64_t i)
{
	struct piece **slot = slot_of(t, i);

	return likely(slot) ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : NULL;
}

static inline bool is_piece(const struct piece *p)
{
	return (uintptr_t)p > (uintptr_t)ZERO;
}

/* Bytes of the base at @off, at most @len. */
static uint64_t base_len(const struct thin *t, uint64_t off, uint64_t len)
{
	return off < t->base_size ? MIN(len, t->base_size - off) : 0;
}

/* --- taking and giving back memory --- */

static int memory_take(struct thin *t, uint64_t bytes)
{
	struct page_stats stats;

	page_stats_get(&stats);
	if (stats.free < HOST_RESERVE + bytes)
		return -RAY_ENOMEM;
	return quota_charge(t->quota, bytes);
}

static void piece_free(struct piece *p)
{
	page_free_dirty(va_to_hpa(p->data), PIECE_ORDER);
	quota_uncharge(p->owner->quota, PIECE_SIZE);
	kfree(p);
}

static void piece_expired(struct epoch_entry *e)
{
	struct piece *p = container_of(e, struct piece, epoch);
	struct thin *t = p->owner;

	piece_free(p);
	/* The last that is done with t: close waits for it. */
	__atomic_fetch_sub(&t->dying, 1, __ATOMIC_RELEASE);
}

static void piece_retire(struct thin *t, struct piece *p)
{
	if (!is_piece(p))
		return;
	__atomic_fetch_add(&t->dying, 1, __ATOMIC_RELAXED);
	epoch_call(&p->epoch, piece_expired);
}

static int piece_alloc(struct thin *t, bool zero, struct piece **out)
{
	struct piece *p;
	hpa_t page;
	int err = memory_take(t, PIECE_SIZE);

	if (err)
		return err;
	p = kzalloc(sizeof(*p), MEM_BLOCK);
	if (!p)
		goto uncharge;
	if (page_alloc(PIECE_ORDER, zero ? PAGE_F_ZERO : 0, &page))
		goto free;
	p->owner = t;
	p->data = hpa_to_va(page);
	*out = p;
	return 0;

free:
	kfree(p);
uncharge:
	quota_uncharge(t->quota, PIECE_SIZE);
	return -RAY_ENOMEM;
}

/* The slot of piece i, with a leaf for it if there was none. */
static int slot_make(struct thin *t, uint64_t i, struct piece ***out)
{
	struct leaf **at = &t->leaf[i / LEAF_SLOTS], *none = NULL, *leaf;
	int err;

	*out = slot_of(t, i);
	if (*out)
		return 0;
	err = memory_take(t, sizeof(*leaf));
	if (err)
		return err;
	leaf = kzalloc(sizeof(*leaf), MEM_BLOCK);
	if (!leaf || !__atomic_compare_exchange_n(at, &none, leaf, false, __ATOMIC_ACQ_REL,
						  __ATOMIC_ACQUIRE)) {
		kfree(leaf);
		quota_uncharge(t->quota, sizeof(*leaf));
	}
	*out = slot_of(t, i);
	return *out ? 0 : -RAY_ENOMEM;
}

/* What @old showed becomes a piece's contents. */
static int piece_from(struct thin *t, uint64_t i, const struct piece *old, struct piece **out)
{
	uint64_t off = i * PIECE_SIZE;
	uint64_t n = old == ZERO ? 0 : base_len(t, off, PIECE_SIZE);
	int err = piece_alloc(t, n == 0, out);

	if (err || n == 0)
		return err;
	memcpy((*out)->data, t->base + off, n);
	memset((*out)->data + n, 0, PIECE_SIZE - n);
	return 0;
}

/* Piece i to be written to. */
static int piece_make(struct thin *t, uint64_t i, struct blk_io *io, struct piece **out)
{
	struct piece **slot, *old, *new;
	int err = slot_make(t, i, &slot);

	if (err)
		return err;
	for (;;) {
		old = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
		if (is_piece(old)) {
			*out = old;
			return 0;
		}
		err = piece_from(t, i, old, &new);
		if (err)
			return err;
		io->extra += PIECE_SIZE;
		if (__atomic_compare_exchange_n(slot, &old, new, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE)) {
			*out = new;
			return 0;
		}
		piece_free(new); /* another queue was first */
	}
}

/* --- operations --- */

static void thin_read(struct thin *t, struct blk_io *io)
{
	uint64_t off = io->off, len = io->len;

	while (len > 0) {
		uint64_t in = off % PIECE_SIZE, n = MIN(len, PIECE_SIZE - in);
		const struct piece *p = piece_of(t, off / PIECE_SIZE);

		if (likely(is_piece(p))) {
			blk_copy_out(&io->data, p->data + in, n);
		} else {
			uint64_t there = p == ZERO ? 0 : base_len(t, off, n);

			if (there)
				blk_copy_out(&io->data, t->base + off, there);
			blk_zero_out(&io->data, n - there);
		}
		off += n;
		len -= n;
	}
}

static int thin_write(struct thin *t, struct blk_io *io)
{
	uint64_t off = io->off, len = io->len;

	while (len > 0) {
		uint64_t in = off % PIECE_SIZE, n = MIN(len, PIECE_SIZE - in);
		struct piece *p = piece_of(t, off / PIECE_SIZE);

		if (unlikely(!is_piece(p))) {
			int err = io->fast ? -RAY_EAGAIN : piece_make(t, off / PIECE_SIZE, io, &p);

			if (err)
				return err;
		}
		blk_copy_in(&io->data, p->data + in, n);
		off += n;
		len -= n;
	}
	return 0;
}

/* All of piece i reads as zeros and takes no memory. */
static int piece_drop(struct thin *t, uint64_t i)
{
	bool covers = base_len(t, i * PIECE_SIZE, PIECE_SIZE) > 0;
	struct piece **slot = slot_of(t, i);

	if (!slot && covers) {
		int err = slot_make(t, i, &slot);

		if (err)
			return err;
	}
	if (slot)
		piece_retire(t, __atomic_exchange_n(slot, covers ? ZERO : NULL, __ATOMIC_ACQ_REL));
	return 0;
}

/* Zeros into a part of a piece. */
static int part_zero(struct thin *t, struct blk_io *io, uint64_t off, uint64_t n)
{
	struct piece *p = piece_of(t, off / PIECE_SIZE);

	if (!is_piece(p)) {
		int err;

		if (p == ZERO || base_len(t, off, n) == 0)
			return 0;
		err = piece_make(t, off / PIECE_SIZE, io, &p);
		if (err)
			return err;
	}
	memset(p->data + off % PIECE_SIZE, 0, n);
	return 0;
}

static int thin_zero(struct thin *t, struct blk_io *io)
{
	uint64_t off = io->off, left = io->len;

	while (left > 0) {
		uint64_t in = off % PIECE_SIZE, n = MIN(left, PIECE_SIZE - in);
		bool whole = in == 0 && (n == PIECE_SIZE || off + n == t->back.size);
		bool drop = whole && (io->unmap || !is_piece(piece_of(t, off / PIECE_SIZE)));
		int err = drop ? piece_drop(t, off / PIECE_SIZE) : part_zero(t, io, off, n);

		if (err)
			return err;
		off += n;
		left -= n;
	}
	return 0;
}

/* Whole pieces only; the rest keeps its contents. */
static void thin_discard(struct thin *t, const struct blk_io *io)
{
	uint64_t end = io->off + io->len;
	uint64_t i = ALIGN_UP(io->off, (uint64_t)PIECE_SIZE) / PIECE_SIZE;

	if (end == t->back.size)
		end = ALIGN_UP(end, (uint64_t)PIECE_SIZE);
	for (; (i + 1) * PIECE_SIZE <= end; i++) {
		/* No memory to note it in: it keeps its contents, which a hint allows. */
		if (piece_drop(t, i))
			return;
	}
}

static int thin_submit(struct blk_back *b, struct blk_io *io)
{
	struct thin *t = container_of(b, struct thin, back);

	switch (io->op) {
	case BLOCK_READ:
		thin_read(t, io);
		return 0;
	case BLOCK_WRITE:
		return thin_write(t, io);
	case BLOCK_FLUSH:
		return 0; /* it lives as long as the host's memory does */
	case BLOCK_DISCARD:
		if (io->fast)
			return -RAY_EAGAIN;
		thin_discard(t, io);
		return 0;
	case BLOCK_ZERO:
		return io->fast ? -RAY_EAGAIN : thin_zero(t, io);
	default:
		return -RAY_EIO;
	}
}

/* --- life --- */

static void leaf_free(struct thin *t, struct leaf *leaf)
{
	if (!leaf)
		return;
	for (unsigned int i = 0; i < LEAF_SLOTS; i++) {
		if (is_piece(leaf->slot[i]))
			piece_free(leaf->slot[i]);
	}
	kfree(leaf);
	quota_uncharge(t->quota, sizeof(*leaf));
}

static void thin_close(struct blk_back *b)
{
	struct thin *t = container_of(b, struct thin, back);

	while (__atomic_load_n(&t->dying, __ATOMIC_ACQUIRE))
		thread_sleep_until(time_now() + CLOSE_WAIT_NS);
	for (uint64_t i = 0; i < t->leaves; i++)
		leaf_free(t, t->leaf[i]);
	kfree(t->leaf);
	kfree(t);
}

static const struct blk_back_ops thin_ops = {
	.submit = thin_submit,
	.close = thin_close,
};

int blk_thin_create(const struct blk_thin_init *init, struct blk_back **out)
{
	struct thin *t = kzalloc(sizeof(*t), MEM_BLOCK);

	if (!t)
		return -RAY_ENOMEM;
	t->leaves = (init->size + LEAF_SLOTS * PIECE_SIZE - 1) / (LEAF_SLOTS * PIECE_SIZE);
	t->leaf = kcalloc(t->leaves, sizeof(*t->leaf), MEM_BLOCK);
	if (!t->leaf) {
		kfree(t);
		return -RAY_ENOMEM;
	}
	t->back = (struct blk_back){.ops = &thin_ops, .name = init->name, .size = init->size,
				    .sector = BLK_SECTOR, .physical = BLK_PHYSICAL,
				    .granule = PIECE_SIZE};
	t->quota = init->quota;
	t->base = init->base;
	t->base_size = init->base_size;
	*out = &t->back;
	return 0;
}
