/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block device: requests on a back end that ends them later.
 * Owns: flights, one for each request under way, and their order of ending. Must not know: what
 * is behind the back end; how requests are checked (blk.c).
 *
 * A flight holds the guest's memory (gmem_hold()) from its launch until its status byte is
 * written, both without any lock: flight_done() may run in an interrupt while somebody else
 * serves the queue. What needs the queue, giving the chain back, is left to vblk_flights_serve(),
 * which flight_done() has run at once or, when the queue is taken, by its holder.
 *
 * A request that finds no space, on a back end that waits for some, is not answered: its flight
 * ends, the head of its chain is kept and the VM asked to pause. When it is resumed, the chain is
 * looked at anew and begun again.
 * Locking: the queue's, for free lists and what is kept; `done` and `under_way` are atomic.
 */
#include "devices/virt/virtio/blk_flight.h"

#include <string.h>

#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define FLIGHTS       128u /* of a queue; more wait in its ring */
#define SEGS_SHORT    16u  /* a flight's own: 64 KiB of single pages */
#define LONG_FLIGHTS  16u  /* of a queue, with room for the longest chain */
#define TURN_REQUESTS 256u
#define DRAIN_WAIT_NS 200000ull

struct segs {
	struct segs *next;
	struct block_seg seg[];
};

struct flight {
	struct block_req io;
	struct vblk_flights *of;
	struct flight *next;      /* on the free list or the done list */
	struct segs *segs;        /* NULL: seg[] is enough */
	volatile uint8_t *status; /* in guest memory */
	uint64_t amount, start;
	uint32_t in_len;
	unsigned int phase;       /* of the hold */
	uint16_t head;
	enum policy_verb verb;
	bool waits;               /* for space */
	int err;
	unsigned int range_count, range_at;
	struct vblk_range range[VBLK_RANGES_MAX];
	struct block_seg seg[SEGS_SHORT];
};

struct vblk_flights {
	struct vblk *b;
	struct virtq *q;
	struct flight *free;
	struct segs *free_segs;
	struct flight *done;    /* atomic: pushed by flight_done(), newest first */
	uint32_t under_way;     /* atomic: launched, and flight_done() has not returned */
	bool asleep;            /* nothing is in the ring, and the driver was asked to notify */
	bool again;             /* what waits is to be begun */
	unsigned int waiting;
	uint16_t head[VBLK_QUEUE_SIZE]; /* of what waits */
	struct vblk_req req;    /* the last of them */
	struct flight flight[FLIGHTS];
};

/* --- memory --- */

static struct segs *segs_create(const struct virtq *q)
{
	return kmalloc(sizeof(struct segs) + q->seg_max * sizeof(struct block_seg), MEM_VDEV);
}

void vblk_flights_destroy(struct vblk_flights *fs)
{
	if (!fs)
		return;
	while (fs->free_segs) {
		struct segs *s = fs->free_segs;

		fs->free_segs = s->next;
		kfree(s);
	}
	kfree(fs);
}

struct vblk_flights *vblk_flights_create(struct vblk *b, struct virtq *q)
{
	struct vblk_flights *fs = kzalloc(sizeof(*fs), MEM_VDEV);

	if (!fs)
		return NULL;
	fs->b = b;
	fs->q = q;
	for (unsigned int i = 0; i < FLIGHTS; i++) {
		fs->flight[i].of = fs;
		fs->flight[i].next = fs->free;
		fs->free = &fs->flight[i];
	}
	for (unsigned int i = 0; i < LONG_FLIGHTS; i++) {
		struct segs *s = segs_create(q);

		if (!s) {
			vblk_flights_destroy(fs);
			return NULL;
		}
		s->next = fs->free_segs;
		fs->free_segs = s;
	}
	return fs;
}

/* A flight with room for @segs pieces; NULL: all are under way. */
static struct flight *flight_take(struct vblk_flights *fs, unsigned int segs)
{
	struct flight *f = fs->free;

	if (unlikely(!f) || (segs > SEGS_SHORT && unlikely(!fs->free_segs)))
		return NULL;
	fs->free = f->next;
	f->segs = NULL;
	if (segs > SEGS_SHORT) {
		f->segs = fs->free_segs;
		fs->free_segs = f->segs->next;
	}
	return f;
}

static void flight_give(struct vblk_flights *fs, struct flight *f)
{
	if (f->segs) {
		f->segs->next = fs->free_segs;
		fs->free_segs = f->segs;
	}
	f->next = fs->free;
	fs->free = f;
}

/* --- ending --- */

static void begin(const struct flight *f, struct block_req *io)
{
	struct blk_back *back = f->of->b->disk->back;

	back->ops->begin(back, io);
}

/* The range that is next of a discard or a write of zeroes; false: none is left. */
static bool range_next(struct flight *f)
{
	const struct vblk_range *r;

	while (f->range_at < f->range_count && f->range[f->range_at].sectors == 0)
		f->range_at++;
	if (f->range_at == f->range_count)
		return false;
	r = &f->range[f->range_at++];
	f->io.off = r->sector * BLK_SECTOR;
	f->io.len = (uint64_t)r->sectors * BLK_SECTOR;
	f->io.flags = f->io.op == BLOCK_ZERO && (r->flags & VBLK_RANGE_UNMAP) ? BLOCK_F_UNMAP : 0;
	return true;
}

static void memory_let_go(struct flight *f)
{
	struct gmem *m = f->of->q->mem;

	if (f->io.op == BLOCK_READ) {
		for (unsigned int i = 0; i < f->io.seg_count; i++)
			gmem_dirty_mark_host(m, f->io.seg[i].addr, f->io.seg[i].len);
	}
	if (likely(!f->waits)) {
		*f->status = f->err ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
		gmem_dirty_mark_host(m, direct_to_hpa((const void *)(uintptr_t)f->status), 1);
	}
	gmem_let_go(m, f->phase);
}

/* Whether it ended for want of space, and is to wait for some. */
static __noinline bool begins_to_wait(const struct flight *f)
{
	const struct blk_back *back = f->of->b->disk->back;

	if (f->err != -RAY_ENOSPC || !back->ops->waits || !back->ops->waits(back))
		return false;
	vm_pause_for(f->of->b->v.dev.vm, "no-space-for-%s", back->name);
	return true;
}

/* Once more until the VM is resumed. */
static void keep_waiting(struct vblk_flights *fs, uint16_t head)
{
	if (fs->waiting == ARRAY_SIZE(fs->head)) {
		virtio_dev_break(&fs->b->v, "more requests than its queue has");
		return;
	}
	fs->head[fs->waiting++] = head;
	fs->again = false;
}

/* Give back the chains of what has ended, in the order of their ends. Pre: q->lock held. */
static void reap(struct vblk_flights *fs, bool tell)
{
	struct flight *f = __atomic_exchange_n(&fs->done, NULL, __ATOMIC_ACQUIRE), *first = NULL;

	while (f) {
		struct flight *next = f->next;

		f->next = first;
		first = f;
		f = next;
	}
	while (first) {
		f = first;
		first = f->next;
		if (unlikely(f->waits)) {
			keep_waiting(fs, f->head);
			flight_give(fs, f);
			continue;
		}
		vblk_count(fs->b, f->verb, f->amount, f->start, f->err == 0);
		if (tell)
			virtq_put(fs->q, f->head, vblk_used(f->in_len, f->err == 0));
		flight_give(fs, f);
	}
}

/*
 * Of what has ended. While the ring is empty, and its driver will notify of what comes, there is
 * nothing else to be done; else, or while somebody serves the queue, it is served once more.
 */
static void give_back(struct vblk_flights *fs)
{
	struct virtq *q = fs->q;
	bool all = false;

	if (likely(fs->asleep) && virtq_lock(q, true)) {
		all = q->enabled && !q->dev->broken && fs->asleep;
		if (likely(all)) {
			reap(fs, true);
			virtq_flush(q);
		}
		virtq_unlock(q);
	}
	if (unlikely(!all))
		virtq_run(q, true);
}

static void flight_done(struct block_req *io, int err)
{
	struct flight *f = io->owner;
	struct vblk_flights *fs = f->of;

	if (!err && range_next(f)) {
		begin(f, io);
		return;
	}
	f->err = err;
	f->waits = unlikely(err) && begins_to_wait(f);
	memory_let_go(f);
	f->next = __atomic_load_n(&fs->done, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&fs->done, &f->next, f, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	epoch_enter();
	give_back(fs);
	epoch_leave();
	/* The last touch: who waits for it may free all of this. */
	__atomic_fetch_sub(&fs->under_way, 1, __ATOMIC_RELEASE);
}

/* --- launching --- */

static unsigned int data_segs(const struct virtq_chain *c, enum block_op op)
{
	return op == BLOCK_READ ? c->in_count : op == BLOCK_WRITE ? c->out_count : 0;
}

static void data_fill(struct flight *f, const struct virtq_chain *c, uint64_t len)
{
	struct block_seg *seg = f->segs ? f->segs->seg : f->seg;
	uint64_t left = len;
	struct virtq_iter it;
	unsigned int n = 0;

	if (f->io.op == BLOCK_READ)
		virtq_iter_in(&it, c, 0);
	else
		virtq_iter_out(&it, c, sizeof(struct vblk_header));
	while (left > 0) {
		uint32_t part = 0;
		const void *p = virtq_iter_next(&it, (uint32_t)MIN(left, (uint64_t)UINT32_MAX), &part);

		seg[n++] = (struct block_seg){.addr = direct_to_hpa(p), .len = part};
		left -= part;
	}
	f->io.seg = seg;
	f->io.seg_count = n;
}

/* @r as the back end's request, before it is known where its data is. What the back end keeps in
 * there it sets by itself. */
static void request_fill(struct flight *f, const struct vblk *b, const struct vblk_req *r)
{
	bool data = r->op == BLOCK_READ || r->op == BLOCK_WRITE;
	bool fua = r->op == BLOCK_WRITE && unlikely(vblk_writethrough(b));

	f->io.op = r->op;
	f->io.flags = fua ? BLOCK_F_FUA : 0;
	f->io.off = data ? r->off : 0;
	f->io.len = data ? r->len : 0;
	f->io.seg = NULL;
	f->io.seg_count = 0;
	f->io.done = flight_done;
	f->io.owner = f;
}

/* Take the chain, if it is not @taken, and begin. False: it stays where it is until a flight ends. */
static bool launch(struct vblk_flights *fs, struct vblk_req *r, const struct virtq_chain *c,
		   bool taken)
{
	const struct virtq_seg *last = &c->seg[c->out_count + c->in_count - 1];
	struct flight *f = flight_take(fs, data_segs(c, r->op));

	if (unlikely(!f))
		return false;
	request_fill(f, fs->b, r);
	f->status = (volatile uint8_t *)last->p + last->len - 1;
	f->amount = r->amount;
	f->start = r->start;
	f->in_len = c->in_len;
	f->head = c->head;
	f->verb = r->verb;
	f->range_count = f->range_at = 0;
	if (r->op == BLOCK_READ || r->op == BLOCK_WRITE) {
		data_fill(f, c, r->len);
	} else if (r->op != BLOCK_FLUSH) {
		f->range_count = r->range_count;
		memcpy(f->range, r->range, r->range_count * sizeof(r->range[0]));
	}
	f->phase = gmem_hold(fs->q->mem);
	__atomic_fetch_add(&fs->under_way, 1, __ATOMIC_RELAXED);
	if (likely(!taken))
		virtq_take(fs->q);
	r->admitted = false;
	/* Nothing to move or to discard is done as it is. */
	if (f->io.len == 0 && f->io.op != BLOCK_FLUSH && !range_next(f))
		flight_done(&f->io, 0);
	else
		begin(f, &f->io);
	return true;
}

/* What waits, from the end on. Returns: as virtq_next(), and what became of the last. */
static __noinline int serve_waiting(struct vblk_flights *fs, struct vblk_answer *a,
				    enum vblk_step *s)
{
	struct virtq_chain *c;
	int got = 1;

	while (fs->again && fs->waiting > 0) {
		got = virtq_again(fs->q, fs->head[fs->waiting - 1], &c);
		if (got <= 0)
			return got;
		fs->req.admitted = false;
		*s = vblk_begin(fs->b, &fs->req, c, a);
		if (*s == VBLK_ANSWER)
			vblk_answer(fs->b, &fs->req, fs->q, c, a->status);
		else if (*s != VBLK_RUN)
			return got;
		else if (!launch(fs, &fs->req, c, true))
			return 0;
		fs->waiting--;
	}
	fs->again = false;
	return got;
}

enum virtq_result vblk_flights_serve(struct vblk *b, struct virtq *q)
{
	struct vblk_flights *fs = b->flights[q->index];
	struct vblk_req *r = &b->req[q->index];
	unsigned int requests = TURN_REQUESTS;
	struct vblk_answer a = {0};
	enum vblk_step s = VBLK_ANSWER;
	struct virtq_chain *c;
	int got = 1;

	reap(fs, true);
	if (unlikely(fs->again))
		got = serve_waiting(fs, &a, &s);
	while (got > 0 && (s == VBLK_ANSWER || s == VBLK_RUN)) {
		got = virtq_next(q, &c);
		if (got <= 0)
			break;
		s = requests-- == 0 ? VBLK_MORE : vblk_begin(b, r, c, &a);
		if (s == VBLK_ANSWER) {
			virtq_take(q);
			vblk_answer(b, r, q, c, a.status);
		} else if (s == VBLK_RUN && !launch(fs, r, c, false)) {
			break; /* the next flight to end goes on here */
		}
	}
	fs->asleep = got == 0 && !fs->again;
	return vblk_turn_end(q, got, s, a.when);
}

void vblk_flights_drain(struct vblk_flights *fs, bool tell)
{
	while (__atomic_load_n(&fs->under_way, __ATOMIC_ACQUIRE) != 0)
		thread_sleep_until(time_now() + DRAIN_WAIT_NS);
	epoch_enter();
	spin_lock(&fs->q->lock);
	reap(fs, tell);
	if (tell)
		virtq_flush(fs->q);
	fs->asleep = false;
	if (!tell)
		fs->waiting = 0;
	spin_unlock(&fs->q->lock);
	epoch_leave();
}

/* --- those that wait, over a pause --- */

void vblk_flights_resume(struct vblk_flights *fs)
{
	fs->again = fs->waiting > 0;
}

void vblk_flights_save(const struct vblk_flights *fs, struct state_buf *b)
{
	unsigned int n = fs ? fs->waiting : 0;

	state_put_u16(b, (uint16_t)n);
	for (unsigned int i = 0; i < n; i++)
		state_put_u16(b, fs->head[i]);
}

bool vblk_flights_load(struct vblk_flights *fs, struct state_buf *b, bool apply)
{
	unsigned int n = state_get_u16(b);

	if (n > (fs ? ARRAY_SIZE(fs->head) : 0))
		return false;
	for (unsigned int i = 0; i < n; i++) {
		uint16_t head = state_get_u16(b);

		if (apply)
			fs->head[i] = head;
	}
	if (fs && apply)
		fs->waiting = n;
	return !b->bad;
}
