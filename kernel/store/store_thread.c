/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store's thread: requests that need it, in order of arrival; what was written becomes part of
 * its volume; flushes that came in together are one commit.
 *
 * Requests that overlap and are under way at once have no order, but none may undo what another
 * has ended with. They do not: a part of a block is read, changed and mapped in one go, whole
 * blocks are mapped as a whole, and what is written where it is stays there until nobody does.
 */
#include "kernel/arch/cpu.h"
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

static bool fast(struct volio *o)
{
	uint64_t flags = irq_save();
	bool done = volio_fast(o);

	irq_restore(flags);
	return done;
}

static void begin(struct store_dev *s, struct volio *o)
{
	if (o->r->op == BLOCK_FLUSH)
		volio_queue(o, &s->flush);
	/* Its blocks may be in memory by now, or be its own. */
	else if (!fast(o))
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
	while (!list_empty(&wrote)) {
		struct volio *o = list_first_entry(&wrote, struct volio, node);
		int err;

		list_del(&o->node);
		err = volume_map(o);
		if (!err && volio_kept(o))
			volio_queue(o, &s->flush);
		else
			volio_end(o, err);
	}
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
	       s->reclaim || s->quit || (store_failed(s->st) && !s->failed_said);
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

	if (!store_failed(s->st) || s->failed_said)
		return;
	store_info_get(s->st, &info);
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
		(void)wait_event(&s->turn, __atomic_load_n(&s->wanted, __ATOMIC_SEQ_CST) == 0,
				 UINT64_MAX);
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
