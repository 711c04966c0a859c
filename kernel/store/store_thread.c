/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store's thread: requests that need it, in order of arrival, those that overlap one after the
 * other; what was written becomes part of its volume; flushes that came in together are one commit.
 */
#include "kernel/lib/err.h"
#define LOG_TAG "store"
#include "kernel/log.h"
#include "kernel/marker.h"
#include "kernel/store/volume_priv.h"

void store_wake(struct store_dev *s)
{
	waitq_wake_one(&s->wake);
}

/* All of a list, which others put to. */
static void take_all(struct store_dev *s, struct list_head *from, struct list_head *to)
{
	uint64_t flags = spin_lock_irqsave(&s->queue_lock);

	list_splice_tail(from, to);
	spin_unlock_irqrestore(&s->queue_lock, flags);
}

static bool overlaps(const struct store_dev *s, const struct volio *o)
{
	const struct volio *a;

	list_for_each_entry(a, &s->active, active_node) {
		if (a->v == o->v && a->l < o->l + o->n && o->l < a->l + a->n)
			return true;
	}
	return false;
}

/* What it changed is to be kept before it is over. */
static bool must_be_kept(const struct volio *o)
{
	return o->r->op == BLOCK_WRITE && (o->r->flags & BLOCK_F_FUA) != 0;
}

/* Those that change something are active from here until do_wrote() has them again. */
static void begin(struct store_dev *s, struct volio *o)
{
	if (o->r->op == BLOCK_FLUSH) {
		volio_queue(o, &s->flush);
		return;
	}
	/* Its blocks may be in memory by now, or be its own. */
	if (volio_fast(o))
		return;
	if (o->r->op != BLOCK_READ) {
		if (overlaps(s, o)) {
			list_add_tail(&o->node, &s->blocked);
			return;
		}
		o->active = true;
		list_add_tail(&o->active_node, &s->active);
	}
	volume_slow(o);
}

static void do_todo(struct store_dev *s)
{
	struct list_head todo = LIST_HEAD_INIT(todo);

	take_all(s, &s->todo, &todo);
	while (!list_empty(&todo)) {
		struct volio *o = list_first_entry(&todo, struct volio, node);

		list_del(&o->node);
		begin(s, o);
	}
}

static void do_wrote(struct store_dev *s)
{
	struct list_head wrote = LIST_HEAD_INIT(wrote);

	take_all(s, &s->wrote, &wrote);
	if (list_empty(&wrote))
		return;
	while (!list_empty(&wrote)) {
		struct volio *o = list_first_entry(&wrote, struct volio, node);
		int err;

		list_del(&o->node);
		list_del(&o->active_node);
		o->active = false;
		err = volume_map(o);
		if (!err && must_be_kept(o))
			volio_queue(o, &s->flush);
		else
			volio_end(o, err);
	}
	/* What waited for one of these may go on. */
	take_all(s, &s->blocked, &s->todo);
}

static void do_flush(struct store_dev *s)
{
	struct list_head flush = LIST_HEAD_INIT(flush);
	int err;

	take_all(s, &s->flush, &flush);
	if (list_empty(&flush))
		return;
	err = store_commit(s->st);
	while (!list_empty(&flush)) {
		struct volio *o = list_first_entry(&flush, struct volio, node);

		list_del(&o->node);
		volio_end(o, err);
	}
}

static bool work(const struct store_dev *s)
{
	return !list_empty(&s->todo) || !list_empty(&s->wrote) || !list_empty(&s->flush) ||
	       s->reclaim || s->quit;
}

static void do_reclaim(struct store_dev *s)
{
	int more = store_reclaim(s->st);

	if (more < 0 && more != -RAY_EROFS)
		log_warn("space is not reclaimed: %s disk=%s", ray_strerror(more), s->name);
	if (more <= 0)
		s->reclaim = false;
}

/* Once: from now on every change of it fails. */
static void failure_say(struct store_dev *s)
{
	struct store_info info;

	store_info_get(s->st, &info);
	if (!info.failed || s->failed_said)
		return;
	s->failed_said = true;
	log_err("store failed, nothing in it changes any more: %s disk=%s", info.why, s->name);
	marker_print(MARKER_STORE_FAILED, "disk=%s", s->name);
}

void store_thread(void *arg)
{
	struct store_dev *s = arg;

	for (;;) {
		(void)wait_event(&s->wake, work(s), UINT64_MAX);
		if (s->quit)
			return;
		mutex_lock(&s->lock);
		do_wrote(s);
		do_todo(s);
		do_flush(s);
		if (s->reclaim)
			do_reclaim(s);
		failure_say(s);
		mutex_unlock(&s->lock);
	}
}
