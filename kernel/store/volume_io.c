/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to volumes, where they are submitted: what is in one piece on the disk and stays where
 * it is goes there at once, straight between the disk and the requester's memory. The rest is
 * the thread's (volume_slow.c).
 */
#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/percpu.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"
#include "kernel/store/volume_priv.h"

#define PIECE_BLOCKS BIT(20) /* what is asked for at once: extents are long */

/* --- counting --- */

unsigned int store_count(struct store_dev *s)
{
	for (;;) {
		unsigned int phase = __atomic_load_n(&s->phase, __ATOMIC_SEQ_CST);

		__atomic_fetch_add(&s->under_way[phase], 1, __ATOMIC_SEQ_CST);
		/* Whoever switched meanwhile may have looked before it was counted. */
		if (likely(__atomic_load_n(&s->phase, __ATOMIC_SEQ_CST) == phase))
			return phase;
		store_uncount(s, phase);
	}
}

void store_uncount(struct store_dev *s, unsigned int phase)
{
	if (__atomic_sub_fetch(&s->under_way[phase], 1, __ATOMIC_SEQ_CST) == 0 &&
	    unlikely(__atomic_load_n(&s->phase, __ATOMIC_SEQ_CST) != phase))
		waitq_wake_all(&s->drained);
}

void store_drain(struct store_dev *s)
{
	unsigned int old = s->phase;

	__atomic_store_n(&s->phase, !old, __ATOMIC_SEQ_CST);
	(void)wait_event(&s->drained, __atomic_load_n(&s->under_way[old], __ATOMIC_SEQ_CST) == 0,
			 UINT64_MAX);
}

/* --- ending --- */

static void stats_add(struct volio *o, int err)
{
	struct volume_stats *s = &o->v->stats;

	__atomic_fetch_add(&s->ops[o->r->op], 1, __ATOMIC_RELAXED);
	if (unlikely(err))
		__atomic_fetch_add(&s->errors, 1, __ATOMIC_RELAXED);
	else
		__atomic_fetch_add(&s->bytes[o->r->op], o->r->len, __ATOMIC_RELAXED);
}

static void parts_free(struct volio *o)
{
	while (o->parts) {
		struct vpart *p = o->parts;

		o->parts = p->next;
		kfree(p);
	}
}

/* Context: IRQs off, as the CPU's own is used. */
static struct volio *volio_get(struct volume *v)
{
	struct volume_cpu *c = &v->cpu[this_cpu()->id];
	struct volio *o = c->spare;

	if (unlikely(!o))
		return kmalloc(sizeof(*o), MEM_STORE);
	c->spare = o->spare;
	c->spares--;
	return o;
}

static void volio_put(struct volume *v, struct volio *o)
{
	struct volume_cpu *c = &v->cpu[this_cpu()->id];

	if (unlikely(c->spares == VOLUME_SPARES)) {
		kfree(o);
		return;
	}
	o->spare = c->spare;
	c->spare = o;
	c->spares++;
}

void volio_spares_free(struct volume *v)
{
	for (unsigned int i = 0; i < cpu_count(); i++) {
		while (v->cpu[i].spare) {
			struct volio *o = v->cpu[i].spare;

			v->cpu[i].spare = o->spare;
			kfree(o);
		}
	}
}

void volio_end(struct volio *o, int err)
{
	struct block_req *r = o->r;
	uint64_t flags;

	stats_add(o, err);
	parts_free(o);
	flags = irq_save();
	volio_put(o->v, o);
	r->done(r, err);
	irq_restore(flags);
}

void volio_part_end(struct volio *o, int err)
{
	int none = 0;

	if (unlikely(err))
		__atomic_compare_exchange_n(&o->err, &none, err, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
	if (__atomic_sub_fetch(&o->left, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	if (o->again)
		volio_queue(o, &o->v->s->wrote);
	else
		volio_end(o, o->err);
}

static void part_done(struct block_req *io, int err)
{
	struct volio *o = io->owner;

	store_uncount(o->v->s, container_of(io, struct vpart, io)->phase);
	volio_part_end(o, err);
}

void volio_part_begin(struct volio *o, struct vpart *p, uint64_t at)
{
	p->io.off = at;
	p->io.owner = o;
	p->io.done = part_done;
	__atomic_fetch_add(&o->left, 1, __ATOMIC_RELAXED);
	block_submit(o->v->s->dev, &p->io);
}

void volio_queue(struct volio *o, struct list_head *list)
{
	struct store_dev *s = o->v->s;
	uint64_t flags = spin_lock_irqsave(&s->queue_lock);

	list_add_tail(&o->node, list);
	spin_unlock_irqrestore(&s->queue_lock, flags);
	store_wake(s);
}

/* --- memory --- */

void volio_each(const struct block_req *r, uint64_t at, uint64_t len,
		void (*each)(void *arg, hpa_t addr, uint64_t done, uint64_t n), void *arg)
{
	uint64_t done = 0;

	for (uint32_t i = 0; i < r->seg_count && done < len; i++) {
		uint64_t n = r->seg[i].len;

		if (at >= n) {
			at -= n;
			continue;
		}
		n = MIN(n - at, len - done);
		each(arg, HPA(r->seg[i].addr.v + at), done, n);
		done += n;
		at = 0;
	}
}

static void piece_in(void *arg, hpa_t addr, uint64_t done, uint64_t n)
{
	memcpy((uint8_t *)arg + done, hpa_to_va(addr), n);
}

static void piece_out(void *arg, hpa_t addr, uint64_t done, uint64_t n)
{
	memcpy(hpa_to_va(addr), (const uint8_t *)arg + done, n);
}

static void piece_zero(void *arg, hpa_t addr, uint64_t done, uint64_t n)
{
	(void)arg;
	(void)done;
	memset(hpa_to_va(addr), 0, n);
}

void volio_copy_in(const struct block_req *r, uint64_t at, void *to, uint64_t len)
{
	volio_each(r, at, len, piece_in, to);
}

void volio_copy_out(const struct block_req *r, uint64_t at, const void *from, uint64_t len)
{
	/* piece_out() only reads it. */
	volio_each(r, at, len, piece_out, (void *)(uintptr_t)from);
}

void volio_zero_out(const struct block_req *r, uint64_t at, uint64_t len)
{
	volio_each(r, at, len, piece_zero, NULL);
}

/* --- the short way --- */

static void one_begin(struct volio *o, uint64_t at)
{
	o->left = 1;
	volio_part_begin(o, &o->one, at);
	volio_part_end(o, 0);
}

static bool fast_flush(struct volio *o)
{
	struct store_dev *s = o->v->s;

	if (store_uncommitted(s->st))
		return false;
	o->one.io = (struct block_req){.op = BLOCK_FLUSH};
	o->one.phase = store_count(s);
	one_begin(o, 0);
	return true;
}

/*
 * The piece of the volume that the request's blocks are in, if one piece has them all: the one
 * that this CPU found last, as long as nothing was changed.
 */
static bool piece_find(struct volio *o, struct store_piece *out)
{
	struct volume_cpu *c = &o->v->cpu[this_cpu()->id];
	uint64_t into = o->l - c->l;

	if (unlikely(into >= c->piece.n || c->piece.n - into < o->n ||
		     c->piece.changes != store_changes(o->v->s->st))) {
		c->piece.n = 0;
		if (store_find(o->v->s->st, o->v->id, o->l, PIECE_BLOCKS, &c->piece) != 0) {
			c->piece.n = 0;
			return false;
		}
		c->l = o->l;
		into = 0;
	}
	*out = c->piece;
	out->phys += into;
	return out->n - into >= o->n && out->kind == STORE_PIECE_DATA && !out->sums;
}

/* Context: IRQs off. */
static bool fast_data(struct volio *o)
{
	const struct block_req *r = o->r;
	struct store_dev *s = o->v->s;
	struct store_piece p;

	/* Counted before the look, so that nobody else has the blocks before it is over. */
	o->one.phase = store_count(s);
	if (r->op == BLOCK_WRITE && unlikely(__atomic_load_n(&s->hold_writes, __ATOMIC_SEQ_CST)))
		goto slow;
	if (!piece_find(o, &p) || (r->op == BLOCK_WRITE && !p.own))
		goto slow;
	o->one.io.op = r->op;
	o->one.io.flags = r->flags;
	o->one.io.len = r->len;
	o->one.io.seg = r->seg;
	o->one.io.seg_count = r->seg_count;
	one_begin(o, (p.phys << STORE_BLOCK_SHIFT) + r->off % STORE_BLOCK);
	return true;
slow:
	store_uncount(s, o->one.phase);
	return false;
}

bool volio_fast(struct volio *o)
{
	return o->r->op == BLOCK_FLUSH ? fast_flush(o)
	       : o->r->op == BLOCK_READ || o->r->op == BLOCK_WRITE ? fast_data(o) : false;
}

static int request_check(const struct volume *v, const struct block_req *r)
{
	if (r->op == BLOCK_FLUSH)
		return 0;
	if ((r->off | r->len) % VOLUME_SECTOR || r->len == 0 || r->off > v->size ||
	    r->len > v->size - r->off)
		return -RAY_ERANGE;
	return v->read_only && r->op != BLOCK_READ ? -RAY_EROFS : 0;
}

static void submit_irqs_off(struct volume *v, struct block_req *r)
{
	struct volio *o = volio_get(v);
	int err = o ? request_check(v, r) : -RAY_ENOMEM;

	if (unlikely(err)) {
		kfree(o);
		r->done(r, err);
		return;
	}
	o->v = v;
	o->r = r;
	o->err = 0;
	o->again = false;
	o->parts = NULL;
	o->l = r->off >> STORE_BLOCK_SHIFT;
	o->n = store_blocks(r->off + r->len) - o->l;
	if (likely(volio_fast(o)))
		return;
	__atomic_fetch_add(&v->stats.slow, 1, __ATOMIC_RELAXED);
	volio_queue(o, &v->s->todo);
}

void volume_submit(struct volume *v, struct block_req *r)
{
	uint64_t flags = irq_save();

	submit_irqs_off(v, r);
	irq_restore(flags);
}
