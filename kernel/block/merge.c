/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that wait while the device is busy, and continue each other, become one command: a
 * disk that takes one at a time (IDE, USB) is not asked a page at a time.
 * Owns: which ones, and what becomes of them when the command fails: each is tried by itself, so
 * that a bad sector is one request's error. All of it with the queue locked.
 */
#include <string.h>

#include "kernel/block/block_priv.h"
#include "kernel/block/fit.h"

static bool mergeable(const struct block_req *r)
{
	return (r->op == BLOCK_READ || r->op == BLOCK_WRITE) && r->flags == 0 && !r->alone &&
	       !r->flushing;
}

/* The one that waits behind another. */
static struct block_req *behind(const struct block_queue *q, const struct block_req *r)
{
	return r->node.next == &q->waiting ? NULL
					   : list_entry(r->node.next, struct block_req, node);
}

static bool continues(const struct block_queue *q, const struct block_cmd *c,
		      const struct block_req *n)
{
	const struct block_limits *l = &q->dev->limits;

	return mergeable(n) && n->op == c->op && n->issued == 0 &&
	       n->base + n->off == c->off + c->len && c->len + n->len <= l->bytes_max &&
	       c->seg_count + n->seg_count <= l->segs_max && block_fits(l, n) &&
	       block_joins(l, &c->seg[c->seg_count - 1], &n->seg[0]);
}

static void add(struct block_cmd *c, struct block_room *room, struct block_req *n)
{
	memcpy(&room->seg[c->seg_count], n->seg, n->seg_count * sizeof(n->seg[0]));
	c->seg_count += n->seg_count;
	c->len += n->len;
	n->issued = n->len;
}

void block_merge(struct block_queue *q, struct block_cmd *c, struct block_req *r)
{
	struct block_room *room = q->free_rooms;
	struct block_req *n = behind(q, r), *last = r;

	/* The last room is for requests that cannot do without. */
	if (!room || !room->next || c->room || !mergeable(r) || r->issued != r->len || !n ||
	    !continues(q, c, n))
		return;
	q->free_rooms = room->next;
	room->len = 0;
	memcpy(room->seg, c->seg, c->seg_count * sizeof(c->seg[0]));
	c->room = room;
	c->seg = room->seg;
	do {
		add(c, room, n);
		list_del(&n->node);
		n->parts++;
		last->merged = n;
		last = n;
		n = behind(q, r);
		__atomic_fetch_add(&q->dev->stats.merged, 1, __ATOMIC_RELAXED);
	} while (n && continues(q, c, n));
}

void block_unmerge(struct block_queue *q, struct block_req *r)
{
	struct list_head *at = &q->waiting;

	while (r) {
		struct block_req *n = r->merged;

		r->merged = NULL;
		r->alone = true;
		r->issued = 0;
		r->parts--;
		list_add(&r->node, at);
		at = &r->node;
		r = n;
	}
}

bool block_merged_end(struct block_queue *q, struct block_req *r, int err)
{
	if (err && !q->dead) {
		block_unmerge(q, r);
		return false;
	}
	for (; r; r = r->merged) {
		r->err = err ? q->dead : 0;
		r->parts--;
	}
	return true;
}
