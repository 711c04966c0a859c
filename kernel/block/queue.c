/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From requests to commands and back. A request waits until a command can be made for it: for as
 * much of it as one command may have. What the device has no room for waits in `again`.
 */
#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/block/block_priv.h"
#include "kernel/block/fit.h"
#include "kernel/dma/dma.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"
#include "kernel/panic.h"
#include "kernel/sched/thread.h"

#define TRIES_MAX       5u
#define TIMEOUT_MS      30000u
#define LOOK_NS         1000000000ull /* between looks at deadlines */
#define GIVING_WAIT_NS  100000ull
#define BOUNCE_ORDER    4u

BUILD_ASSERT(PAGE_SIZE << BOUNCE_ORDER == BLOCK_BOUNCE, "bounce buffers are one allocation");

hpa_t block_zeros;

/* --- requests that end --- */

static void stat_add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static void count(struct block_dev *dev, const struct block_req *r, uint64_t ticks)
{
	struct block_stats *s = &dev->stats;

	stat_add(&s->ops[r->op], 1);
	stat_add(&s->ns_total[r->op], ticks);
	if (likely(!r->err))
		stat_add(&s->bytes[r->op], r->len);
	else
		stat_add(&s->errors, 1);
	__atomic_fetch_sub(&s->in_flight, 1, __ATOMIC_RELAXED);
}

/* Context: no lock. */
static void finish(struct block_req *r)
{
	uint64_t ticks = rdtsc() - r->start;

	count(r->dev, r, ticks);
	if (r->dev->whole)
		count(r->dev->whole, r, ticks);
	r->done(r, r->err);
}

/* Whether a request that has no command left has ended; else it wants another one. Locked. */
static bool ended(struct block_queue *q, struct block_req *r)
{
	const struct block_limits *l = &q->dev->limits;

	if (r->parts > 0)
		return false;
	if (!r->err && r->op == BLOCK_WRITE && (r->flags & BLOCK_F_FUA) && !r->flushing &&
	    !l->fua && l->cache) {
		r->flushing = true;
		list_add(&r->node, &q->waiting);
		return false;
	}
	return true;
}

/* --- making commands --- */

static void room_give(struct block_queue *q, struct block_room *room)
{
	room->next = q->free_rooms;
	q->free_rooms = room;
}

/* All of the request's pieces through memory of ours. */
static uint64_t bounce(const struct block_queue *q, const struct block_req *r,
		       struct block_cmd *c, struct block_room *room)
{
	const struct block_limits *l = &q->dev->limits;
	uint64_t len = MIN(MIN(r->len - r->issued, (uint64_t)l->bytes_max), BLOCK_BOUNCE), at = 0;
	uint64_t piece = l->seg_len_max ? ALIGN_DOWN(l->seg_len_max, PAGE_SIZE) : BLOCK_BOUNCE;
	uint64_t pa = va_to_hpa(room->bounce).v;

	len = ALIGN_DOWN(MIN(len, piece * l->segs_max), (uint64_t)l->logical);
	room->at = r->issued;
	room->len = len;
	if (r->op == BLOCK_WRITE)
		block_copy(r, r->issued, room->bounce, len, true);
	for (c->seg_count = 0; at < len; c->seg_count++) {
		uint32_t n = (uint32_t)MIN(piece, len - at);

		room->seg[c->seg_count] = (struct block_seg){.addr = HPA(pa + at), .len = n};
		at += n;
	}
	return len;
}

static uint64_t zeros(const struct block_queue *q, const struct block_req *r, struct block_cmd *c,
		      struct block_room *room)
{
	const struct block_limits *l = &q->dev->limits;
	uint64_t max = MIN((uint64_t)l->bytes_max, l->segs_max * PAGE_SIZE);
	uint64_t len = MIN(r->len - r->issued, ALIGN_DOWN(max, (uint64_t)l->logical)), at = 0;

	c->op = BLOCK_WRITE;
	room->len = 0;
	for (c->seg_count = 0; at < len; c->seg_count++) {
		uint32_t n = (uint32_t)MIN(PAGE_SIZE, len - at);

		room->seg[c->seg_count] = (struct block_seg){.addr = block_zeros, .len = n};
		at += n;
	}
	return len;
}

/* A command whose pieces are not just the request's. 0: not now. */
static uint64_t cmd_fill_room(struct block_queue *q, struct block_req *r, struct block_cmd *c)
{
	struct block_room *room = q->free_rooms;
	uint64_t len;

	if (!room)
		return 0;
	q->free_rooms = room->next;
	c->room = room;
	c->seg = room->seg;
	if (r->op == BLOCK_ZERO) {
		len = zeros(q, r, c, room);
	} else {
		room->len = 0;
		len = block_slice(&q->dev->limits, r, room->seg, &c->seg_count);
		if (len) {
			stat_add(&q->dev->stats.split, 1);
		} else {
			stat_add(&q->dev->stats.bounced, 1);
			len = bounce(q, r, c, room);
		}
		block_advance(r, len);
		return len;
	}
	r->issued += len;
	return len;
}

/* What the command is about; false: not now. Locked. */
static bool cmd_fill(struct block_queue *q, struct block_req *r, struct block_cmd *c)
{
	const struct block_limits *l = &q->dev->limits;
	uint64_t max;

	c->op = r->flushing ? BLOCK_FLUSH : r->op;
	c->flags = l->fua && !r->flushing ? r->flags : r->flags & (uint32_t)~BLOCK_F_FUA;
	c->off = r->base + r->off + r->issued;
	c->room = NULL;
	c->seg = NULL;
	c->seg_count = 0;
	switch (c->op) {
	case BLOCK_FLUSH:
		c->off = c->len = 0;
		return true;
	case BLOCK_DISCARD:
	case BLOCK_ZERO:
		max = block_range_max(l, c->op);
		if (max == 0) {
			c->len = cmd_fill_room(q, r, c);
			return c->len != 0;
		}
		c->len = MIN(r->len - r->issued, max);
		r->issued += c->len;
		return true;
	default:
		break;
	}
	if (likely(r->issued == 0 && block_fits(l, r))) {
		c->len = r->issued = r->len;
		c->seg = r->seg;
		c->seg_count = r->seg_count;
		return true;
	}
	c->len = cmd_fill_room(q, r, c);
	return c->len != 0;
}

/* The next command to be given to the device; NULL: none can be now. Locked. */
static struct block_cmd *cmd_next(struct block_queue *q)
{
	struct block_cmd *c = list_first_entry(&q->again, struct block_cmd, node);
	struct block_req *r;

	if (q->full || q->stopped)
		return NULL;
	if (unlikely(c)) {
		list_del(&c->node);
	} else {
		r = list_first_entry(&q->waiting, struct block_req, node);
		c = list_first_entry(&q->free, struct block_cmd, node);
		if (!r || !c || !cmd_fill(q, r, c))
			return NULL;
		list_del(&c->node);
		if (unlikely(r->node.next != &q->waiting))
			block_merge(q, c, r);
		c->req = r;
		c->tries = 0;
		c->mapped = false;
		c->deadline_ns = 0;
		r->parts++;
		if (r->flushing || r->op == BLOCK_FLUSH || r->issued == r->len)
			list_del(&r->node);
	}
	if (c->deadline_ns == 0)
		c->deadline_ns = time_now() + q->timeout_ns;
	list_add_tail(&c->node, &q->flying);
	__atomic_fetch_add(&q->giving, 1, __ATOMIC_ACQUIRE);
	return c;
}

/* A fault takes a command. Locked. */
static bool faulty(struct block_queue *q, struct block_cmd *c)
{
	c->fault = block_fault_take(q, c);
	if (c->fault == BLOCK_FAULT_NONE)
		return false;
	/* It fails on the queue's thread: here a row of them would end within each other. */
	if (c->fault == BLOCK_FAULT_ERROR)
		block_worker_wake(q, BLOCK_TODO_FAULT);
	__atomic_fetch_sub(&q->giving, 1, __ATOMIC_RELEASE);
	return true;
}

/* For the time that the device has the command it reaches the pieces (kernel/dma/). */
static int pieces_map(const struct block_queue *q, struct block_cmd *c)
{
	enum dma_dir dir = c->op == BLOCK_READ ? DMA_FROM_DEVICE : DMA_TO_DEVICE;

	for (uint32_t i = 0; i < c->seg_count; i++) {
		dma_addr_t same;
		/* That it is in the device's range was seen to before. */
		int err = dma_map(q->pci, c->seg[i].addr, c->seg[i].len, dir, UINT64_MAX, &same);

		if (unlikely(err)) {
			while (i-- > 0)
				dma_unmap(q->pci, c->seg[i].addr, c->seg[i].len);
			return -RAY_EAGAIN;
		}
	}
	c->mapped = true;
	return 0;
}

static void pieces_unmap(const struct block_queue *q, struct block_cmd *c)
{
	for (uint32_t i = 0; i < c->seg_count; i++)
		dma_unmap(q->pci, c->seg[i].addr, c->seg[i].len);
	c->mapped = false;
}

static int give(const struct block_queue *q, struct block_cmd *c)
{
	int err = unlikely(q->confined) ? pieces_map(q, c) : 0;

	if (likely(!err))
		err = q->ops->submit(q->drv, c);
	if (unlikely(err && c->mapped))
		pieces_unmap(q, c);
	return err;
}

/* Give the device what it takes. Called locked, returns unlocked. */
static void run(struct block_queue *q, uint64_t flags)
{
	struct block_cmd *c;

	while ((c = cmd_next(q)) != NULL) {
		uint64_t before = q->ended;
		int err;

		if (!timer_armed(&q->timer))
			timer_set_ns(&q->timer, time_now() + LOOK_NS);
		if (unlikely(q->fault_count) && faulty(q, c))
			continue;
		spin_unlock_irqrestore(&q->lock, flags);
		err = give(q, c);
		flags = spin_lock_irqsave(&q->lock);
		__atomic_fetch_sub(&q->giving, 1, __ATOMIC_RELEASE);
		if (unlikely(err)) {
			ASSERT(err == -RAY_EAGAIN);
			list_del(&c->node);
			list_add(&c->node, &q->again);
			/* Unless something has ended meanwhile: its end would not be noticed. */
			q->full = q->ended == before;
			stat_add(&q->dev->stats.queued, 1);
		}
	}
	spin_unlock_irqrestore(&q->lock, flags);
}

/* --- submission --- */

static int check(const struct block_dev *dev, const struct block_req *r)
{
	const struct block_limits *l = &dev->limits;
	uint64_t sum = 0;

	if (r->op == BLOCK_FLUSH)
		return 0;
	if (((r->off | r->len) & (l->logical - 1)) != 0 || r->off > dev->ident.size ||
	    r->len > dev->ident.size - r->off)
		return -RAY_ERANGE;
	if (r->op != BLOCK_READ && l->read_only)
		return -RAY_EPERM;
	if (r->op != BLOCK_READ && r->op != BLOCK_WRITE)
		return 0;
	for (uint32_t i = 0; i < r->seg_count; i++)
		sum += r->seg[i].len;
	return sum == r->len ? 0 : -RAY_EINVAL;
}

/* What is done without the device. */
static bool trivial(const struct block_dev *dev, const struct block_req *r)
{
	if (r->op == BLOCK_FLUSH)
		return !dev->limits.cache;
	return r->len == 0 || (r->op == BLOCK_DISCARD && dev->limits.discard_max == 0);
}

void block_submit(struct block_dev *dev, struct block_req *r)
{
	struct block_queue *q = dev->queue;
	uint64_t flags;

	r->dev = dev;
	r->base = dev->first;
	r->start = rdtsc();
	r->issued = 0;
	r->seg_at = r->seg_off = r->parts = 0;
	r->flushing = r->alone = false;
	r->merged = NULL;
	r->err = check(dev, r);
	__atomic_fetch_add(&dev->stats.in_flight, 1, __ATOMIC_RELAXED);
	if (dev->whole)
		__atomic_fetch_add(&dev->whole->stats.in_flight, 1, __ATOMIC_RELAXED);
	if (unlikely(r->err || trivial(dev, r))) {
		finish(r);
		return;
	}
	flags = spin_lock_irqsave(&q->lock);
	if (unlikely(q->dead || dev->state == BLOCK_GONE)) {
		r->err = q->dead ? q->dead : -RAY_ENODEV;
		spin_unlock_irqrestore(&q->lock, flags);
		finish(r);
		return;
	}
	list_add_tail(&r->node, &q->waiting);
	run(q, flags);
}

/* --- completion --- */

/* A command for a part of a request has ended. Locked. Returns: whether so has the request. */
static bool part_end(struct block_queue *q, struct block_req *r, int err)
{
	if (unlikely(err) && !r->err) {
		r->err = q->dead ? q->dead : -RAY_EIO;
		list_del(&r->node); /* no more commands for it */
	}
	r->parts--;
	return list_empty(&r->node) && ended(q, r);
}

/* Those of one command. */
static void finish_all(struct block_req *r)
{
	do {
		struct block_req *next = r->merged;

		r->merged = NULL;
		finish(r);
		r = next;
	} while (unlikely(r));
}

void block_cmd_done(struct block_cmd *c, int err)
{
	struct block_queue *q = c->queue;
	struct block_req *r = c->req;
	bool over = false;
	uint64_t flags;

	if (unlikely(c->mapped))
		pieces_unmap(q, c);
	if (unlikely(c->room && c->room->len) && !err && c->op == BLOCK_READ)
		block_copy(r, c->room->at, c->room->bounce, c->room->len, false);
	flags = spin_lock_irqsave(&q->lock);
	list_del(&c->node);
	q->ended++;
	q->full = false;
	if (unlikely(err == -RAY_EAGAIN) && !q->dead && ++c->tries < TRIES_MAX) {
		stat_add(&q->dev->stats.repeats, 1);
		c->deadline_ns = 0;
		list_add_tail(&c->node, &q->again);
	} else {
		if (c->room)
			room_give(q, c->room);
		list_add(&c->node, &q->free);
		over = unlikely(r->merged) ? block_merged_end(q, r, err) : part_end(q, r, err);
	}
	if (list_empty(&q->waiting) && list_empty(&q->again))
		spin_unlock_irqrestore(&q->lock, flags);
	else
		run(q, flags);
	if (over)
		finish_all(r);
}

/* Deadlines, also of what a device has no room for though nothing is under way. */
static void look(struct timer *t)
{
	struct block_queue *q = container_of(t, struct block_queue, timer);
	uint64_t flags = spin_lock_irqsave(&q->lock), now = time_now();
	const struct block_cmd *c = list_first_entry(&q->flying, struct block_cmd, node);
	bool late;

	if (!c) {
		q->full = false;
		c = list_first_entry(&q->again, struct block_cmd, node);
	}
	late = c && c->deadline_ns != 0 && now >= c->deadline_ns && !q->stopped;
	if (late)
		stat_add(&q->dev->stats.timeouts, 1);
	if (c)
		timer_set_ns(&q->timer, now + LOOK_NS);
	run(q, flags);
	if (late)
		block_worker_wake(q, BLOCK_TODO_TROUBLE);
}

/* --- life --- */

void block_queue_stop(struct block_queue *q)
{
	uint64_t flags = spin_lock_irqsave(&q->lock);

	q->stopped = true;
	spin_unlock_irqrestore(&q->lock, flags);
	while (__atomic_load_n(&q->giving, __ATOMIC_ACQUIRE) != 0)
		thread_sleep_until(time_now() + GIVING_WAIT_NS);
}

void block_queue_go(struct block_queue *q)
{
	uint64_t flags = spin_lock_irqsave(&q->lock);
	struct block_cmd *c;

	q->stopped = false;
	q->full = false;
	list_for_each_entry(c, &q->again, node)
		c->deadline_ns = 0; /* it begins anew */
	run(q, flags);
}

static bool idle(struct block_queue *q)
{
	uint64_t flags = spin_lock_irqsave(&q->lock);
	bool none = list_empty(&q->flying);

	spin_unlock_irqrestore(&q->lock, flags);
	return none;
}

int block_suspend(struct block_dev *dev)
{
	struct block_queue *q = dev->queue;
	uint64_t end = time_now() + q->timeout_ns;
	int err = block_flush(dev);

	if (err)
		return err;
	block_queue_stop(q);
	while (!idle(q)) {
		if (time_now() >= end) {
			block_queue_go(q);
			return -RAY_ETIMEDOUT;
		}
		thread_sleep_until(time_now() + GIVING_WAIT_NS);
	}
	return 0;
}

void block_resume(struct block_dev *dev)
{
	block_queue_go(dev->queue);
}

void block_room(struct block_dev *dev)
{
	struct block_queue *q = dev->queue;
	uint64_t flags = spin_lock_irqsave(&q->lock);

	q->full = false;
	run(q, flags);
}

/* The next request that nothing of is under way, to end with the queue's error. */
static struct block_req *request_kill(struct block_queue *q)
{
	uint64_t flags = spin_lock_irqsave(&q->lock);
	struct block_cmd *c = list_first_entry(&q->again, struct block_cmd, node);
	struct block_req *r = list_first_entry(&q->waiting, struct block_req, node);
	bool over = false;

	if (c) {
		r = c->req;
		block_unmerge(q, r->merged);
		r->merged = NULL;
		list_del(&c->node);
		list_add(&c->node, &q->free);
		if (c->room)
			room_give(q, c->room);
		r->parts--;
	}
	if (r) {
		r->err = r->err ? r->err : q->dead;
		list_del(&r->node);
		over = r->parts == 0;
	}
	spin_unlock_irqrestore(&q->lock, flags);
	if (over)
		finish(r);
	return r;
}

void block_queue_kill(struct block_queue *q, int err)
{
	uint64_t flags = spin_lock_irqsave(&q->lock);

	q->dead = err;
	q->stopped = true;
	spin_unlock_irqrestore(&q->lock, flags);
	while (request_kill(q))
		;
}

static int rooms_create(struct block_queue *q, const struct block_limits *l)
{
	q->room = kcalloc(BLOCK_ROOMS, sizeof(*q->room), MEM_BLOCK);
	for (unsigned int i = 0; q->room && i < BLOCK_ROOMS; i++) {
		struct block_room *room = &q->room[i];
		hpa_t page;

		room->seg = kcalloc(l->segs_max, sizeof(room->seg[0]), MEM_BLOCK);
		if (!room->seg || page_alloc(BOUNCE_ORDER, PAGE_F_LOW, &page))
			return -RAY_ENOMEM;
		room->bounce = hpa_to_va(page);
		room_give(q, room);
	}
	return q->room ? 0 : -RAY_ENOMEM;
}

void block_queue_destroy(struct block_queue *q)
{
	timer_cancel(&q->timer);
	for (unsigned int i = 0; q->room && i < BLOCK_ROOMS; i++) {
		kfree(q->room[i].seg);
		if (q->room[i].bounce)
			page_free_dirty(va_to_hpa(q->room[i].bounce), BOUNCE_ORDER);
	}
	kfree(q->room);
	kfree(q->cmd);
	kfree(q);
}

struct block_queue *block_queue_create(struct block_dev *dev, const struct block_init *init)
{
	struct block_queue *q = kzalloc(sizeof(*q), MEM_BLOCK);

	if (!q)
		return NULL;
	spin_lock_init(&q->lock, LOCK_ORDER_BLOCK);
	waitq_init(&q->wake);
	timer_init(&q->timer, look);
	list_init(&q->free);
	list_init(&q->waiting);
	list_init(&q->again);
	list_init(&q->flying);
	q->dev = dev;
	q->ops = init->ops;
	q->drv = init->drv;
	q->pci = init->pci;
	q->confined = init->pci && dma_confined(init->pci);
	q->depth = init->depth;
	q->timeout_ns = (init->timeout_ms ? init->timeout_ms : TIMEOUT_MS) * 1000000ull;
	q->cmd = kcalloc(q->depth, sizeof(q->cmd[0]), MEM_BLOCK);
	if (!q->cmd || rooms_create(q, &init->limits)) {
		block_queue_destroy(q);
		return NULL;
	}
	for (unsigned int i = 0; i < q->depth; i++) {
		q->cmd[i].queue = q;
		list_add_tail(&q->cmd[i].node, &q->free);
	}
	return q;
}
