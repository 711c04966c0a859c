/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to volumes that take more than a look: metadata that is not in memory, several pieces,
 * blocks that are not the volume's own yet, parts of blocks, checksums. The store's thread does
 * them, with the store's lock held. Whole blocks are written without waiting for them; edges and
 * what has checksums are done one after the other.
 */
#include <string.h>

#include "kernel/lib/err.h"
#define LOG_TAG "store"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/store/volume_priv.h"

static uint64_t byte_of(uint64_t block)
{
	return block << STORE_BLOCK_SHIFT;
}

static int find(const struct volio *o, uint64_t l, uint64_t n, struct store_piece *p)
{
	return store_find_load(o->v->s->st, o->v->id, l, n, p);
}

/* --- parts of their own --- */

struct segs {
	struct block_seg *out; /* NULL: they are counted only */
	uint32_t count;
};

static void seg_add(void *arg, hpa_t addr, uint64_t done, uint64_t n)
{
	struct segs *s = arg;

	(void)done;
	if (s->out)
		s->out[s->count] = (struct block_seg){.addr = addr, .len = (uint32_t)n};
	s->count++;
}

/* Pieces of the request's memory from byte @at. */
static uint32_t segs_for(const struct block_req *r, uint64_t at, uint64_t len,
			 struct block_seg *out)
{
	struct segs s = {.out = out};

	volio_each(r, at, len, seg_add, &s);
	return s.count;
}

/* A part for @len bytes of the request from byte @at on. */
static struct vpart *part_create(struct volio *o, uint64_t at, uint64_t len)
{
	uint32_t segs = segs_for(o->r, at, len, NULL);
	struct vpart *p = kzalloc(sizeof(*p) + segs * sizeof(p->seg[0]), MEM_STORE);

	if (!p)
		return NULL;
	p->seg = (struct block_seg *)(p + 1);
	segs_for(o->r, at, len, p->seg);
	p->io.op = o->r->op;
	p->io.len = len;
	p->io.seg = p->seg;
	p->io.seg_count = segs;
	p->next = o->parts;
	o->parts = p;
	return p;
}

/* The store does not change between the look that found where, and this: it is locked. */
static void part_begin(struct volio *o, struct vpart *p, uint64_t at)
{
	p->phase = store_count(o->v->s);
	volio_part_begin(o, p, at);
}

/* A part for @len bytes from byte @off of the volume, which are there where block @phys is. */
static int part_at(struct volio *o, uint64_t phys, uint64_t off, uint64_t len, uint32_t flags)
{
	struct vpart *p = part_create(o, off - o->r->off, len);

	if (!p)
		return -RAY_ENOMEM;
	p->io.flags = flags;
	part_begin(o, p, byte_of(phys) + off % STORE_BLOCK);
	return 0;
}

/* --- checksums --- */

/* Is block @phys, as read into @buf, what was written? */
static int sum_check(struct volio *o, uint64_t l, uint64_t phys, const void *buf)
{
	uint32_t want = 0;
	int err = store_sum(o->v->s->st, phys, &want);

	if (err || store_sum_of(buf, STORE_BLOCK) == want)
		return err;
	__atomic_fetch_add(&o->v->stats.bad_sums, 1, __ATOMIC_RELAXED);
	log_err("a block's checksum is wrong volume=%s block=%llu disk=%s disk_block=%llu",
		o->v->name, (unsigned long long)l, o->v->s->name, (unsigned long long)phys);
	return -RAY_EIO;
}

/* --- single blocks --- */

/* Block @l as it is. */
static int block_get_old(struct volio *o, uint64_t l, uint8_t *buf)
{
	struct store_piece p;
	int err = find(o, l, 1, &p);

	if (err || p.kind == STORE_PIECE_ZERO) {
		memset(buf, 0, STORE_BLOCK);
		return err;
	}
	err = block_read(o->v->s->dev, byte_of(p.phys), buf, STORE_BLOCK);
	return err || !p.sums ? err : sum_check(o, l, p.phys, buf);
}

/* Block @l is what is in @buf. */
static int block_put_new(struct volio *o, uint64_t l, const uint8_t *buf)
{
	struct store *st = o->v->s->st;
	bool sums = (o->v->flags & STORE_F_SUMS) != 0;
	uint32_t sum = sums ? store_sum_of(buf, STORE_BLOCK) : 0;
	struct store_claim c;
	int err = store_claim_wait(st, 1, &c);

	if (err)
		return err;
	err = block_write(o->v->s->dev, byte_of(c.phys), buf, STORE_BLOCK, 0);
	if (err) {
		store_unclaim(st, &c);
		return err;
	}
	return store_map(st, o->v->id, l, &c, sums ? &sum : NULL);
}

/* Bytes [@in, @in + @len) of block @l come from byte @at of the request; without data, zeros. */
static int block_change(struct volio *o, uint64_t l, uint64_t in, uint64_t len, uint64_t at)
{
	uint8_t *buf = kmalloc(STORE_BLOCK, MEM_STORE);
	int err = -RAY_ENOMEM;

	if (!buf)
		return err;
	err = len == STORE_BLOCK ? 0 : block_get_old(o, l, buf);
	if (!err) {
		if (o->r->op == BLOCK_WRITE)
			volio_copy_in(o->r, at, buf + in, len);
		else
			memset(buf + in, 0, len);
		err = block_put_new(o, l, buf);
	}
	kfree(buf);
	return err;
}

/* --- reading --- */

static int read_checked(struct volio *o, uint64_t l, uint64_t phys, uint64_t off, uint64_t len)
{
	uint8_t *buf = kmalloc(STORE_BLOCK, MEM_STORE);
	int err = buf ? 0 : -RAY_ENOMEM;

	while (len > 0 && !err) {
		uint64_t in = off % STORE_BLOCK, n = MIN(STORE_BLOCK - in, len);

		err = block_read(o->v->s->dev, byte_of(phys), buf, STORE_BLOCK);
		if (!err)
			err = sum_check(o, l, phys, buf);
		if (!err)
			volio_copy_out(o->r, off - o->r->off, buf + in, n);
		off += n;
		len -= n;
		phys++;
		l++;
	}
	kfree(buf);
	return err;
}

/* One piece of what is to be read, from byte @off of the volume, @len bytes. */
static int read_piece(struct volio *o, const struct store_piece *p, uint64_t off, uint64_t len)
{
	if (p->kind == STORE_PIECE_ZERO) {
		volio_zero_out(o->r, off - o->r->off, len);
		return 0;
	}
	if (p->sums)
		return read_checked(o, off >> STORE_BLOCK_SHIFT, p->phys, off, len);
	return part_at(o, p->phys, off, len, 0);
}

/* --- writing --- */

/* Whole blocks that are not the volume's own: to new ones, without waiting. */
static int write_new(struct volio *o, uint64_t l, uint64_t n)
{
	while (n > 0) {
		uint64_t want = MIN(n, (uint64_t)STORE_IO_BLOCKS), at = byte_of(l) - o->r->off;
		struct vpart *p = part_create(o, at, byte_of(want));
		int err = p ? store_claim_wait(o->v->s->st, (uint32_t)want, &p->claim) : -RAY_ENOMEM;

		if (err)
			return err;
		o->again = true;
		/* It may have become less. */
		p->io.len = byte_of(p->claim.n);
		p->io.seg_count = segs_for(o->r, at, p->io.len, p->seg);
		p->l = l;
		part_begin(o, p, byte_of(p->claim.phys));
		l += p->claim.n;
		n -= p->claim.n;
	}
	return 0;
}

static int write_checked(struct volio *o, uint64_t off, uint64_t len)
{
	int err = 0;

	while (len > 0 && !err) {
		uint64_t in = off % STORE_BLOCK, n = MIN(STORE_BLOCK - in, len);

		err = block_change(o, off >> STORE_BLOCK_SHIFT, in, n, off - o->r->off);
		off += n;
		len -= n;
	}
	return err;
}

/* @len bytes from byte @off of the volume on, which are alike. */
static int write_piece(struct volio *o, const struct store_piece *p, uint64_t off, uint64_t len)
{
	uint64_t first = ALIGN_UP(off, (uint64_t)STORE_BLOCK);
	uint64_t last = ALIGN_DOWN(off + len, (uint64_t)STORE_BLOCK), at = off - o->r->off;
	int err = 0;

	if (p->kind == STORE_PIECE_DATA && p->own && !(o->v->flags & STORE_F_SUMS))
		return part_at(o, p->phys, off, len, o->r->flags);
	if (o->v->flags & STORE_F_SUMS)
		return write_checked(o, off, len);
	if (first > last) /* inside of one block */
		return block_change(o, off >> STORE_BLOCK_SHIFT, off % STORE_BLOCK, len, at);
	if (first > off)
		err = block_change(o, off >> STORE_BLOCK_SHIFT, off % STORE_BLOCK, first - off, at);
	if (!err && last < off + len)
		err = block_change(o, last >> STORE_BLOCK_SHIFT, 0, off + len - last,
				   last - o->r->off);
	return err || first >= last ? err
				    : write_new(o, first >> STORE_BLOCK_SHIFT,
						(last - first) >> STORE_BLOCK_SHIFT);
}

/* --- discarding and zeroing --- */

static int clear(struct volio *o)
{
	uint64_t off = o->r->off, end = off + o->r->len;
	uint64_t first = ALIGN_UP(off, (uint64_t)STORE_BLOCK), last = ALIGN_DOWN(end, (uint64_t)STORE_BLOCK);
	int err = 0;

	/* The volume's last block may be in part outside: all that is in it counts. */
	if (end == o->v->size)
		last = ALIGN_UP(end, (uint64_t)STORE_BLOCK);
	if (o->r->op == BLOCK_ZERO && first > last)
		return block_change(o, off >> STORE_BLOCK_SHIFT, off % STORE_BLOCK, end - off, 0);
	if (o->r->op == BLOCK_ZERO && first > off)
		err = block_change(o, off >> STORE_BLOCK_SHIFT, off % STORE_BLOCK, first - off, 0);
	if (!err && o->r->op == BLOCK_ZERO && last < end)
		err = block_change(o, last >> STORE_BLOCK_SHIFT, 0, end - last, 0);
	if (!err && first < last)
		err = store_unmap(o->v->s->st, o->v->id, first >> STORE_BLOCK_SHIFT,
				  (last - first) >> STORE_BLOCK_SHIFT);
	return err;
}

/* --- all of them --- */

/* The request's bytes, as many at a time as are alike. */
static int each_alike(struct volio *o, int (*each)(struct volio *o, const struct store_piece *p,
						    uint64_t off, uint64_t len))
{
	uint64_t off = o->r->off, end = off + o->r->len;
	int err = 0;

	while (off < end && !err) {
		uint64_t l = off >> STORE_BLOCK_SHIFT, len;
		struct store_piece p;

		err = find(o, l, o->l + o->n - l, &p);
		if (err)
			break;
		len = MIN(byte_of(l + p.n), end) - off;
		err = each(o, &p, off, len);
		off += len;
	}
	return err;
}

void volume_slow(struct volio *o)
{
	int err;

	o->left = 1;
	o->again = volio_kept(o);
	if (o->r->op == BLOCK_READ)
		err = each_alike(o, read_piece);
	else if (o->r->op == BLOCK_WRITE)
		err = each_alike(o, write_piece);
	else
		err = clear(o);
	if (err == -RAY_ENOSPC)
		__atomic_fetch_add(&o->v->stats.no_space, 1, __ATOMIC_RELAXED);
	volio_part_end(o, err);
}

int volume_map(struct volio *o)
{
	int err = o->err;

	for (struct vpart *p = o->parts; p; p = p->next) {
		struct store *st = o->v->s->st;

		if (p->claim.n == 0)
			continue;
		if (err)
			store_unclaim(st, &p->claim);
		else
			err = store_map(st, o->v->id, p->l, &p->claim, NULL);
		p->claim.n = 0;
	}
	return err;
}
