/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that is put off: layers that nobody stands on are emptied, and a layer that only one other
 * stands on becomes one with it. Nothing of it is in the log: each step leaves everybody seeing what
 * they saw, and after a cut it is begun again.
 */
#include "kernel/lib/err.h"
#include "kernel/store/store_priv.h"

/* The first extent of a layer. 0, -RAY_ENOENT: it has none. */
static int first_extent(struct store *st, const struct layer *l, struct store_rec *out)
{
	struct cursor c;
	int err = tree_ceil_load(st, STORE_KEY_EXTENT(l->id, 0), &c);

	if (err)
		return err;
	*out = *cursor_rec(&c);
	return same_layer(out->key, STORE_KEY_EXTENT(l->id, 0)) ? 0 : -RAY_ENOENT;
}

static int room(struct store *st)
{
	int err = store_checkpoint_due(st) ? store_checkpoint(st) : 0;

	return err ? err : tree_prepare(st);
}

static void remove_layer(struct store *st, struct layer *l)
{
	uint64_t flags = store_lock(st);

	layer_remove(st, l);
	store_unlock(st, flags);
}

/* --- nobody stands on it --- */

static int empty_step(struct store *st, struct layer *l)
{
	struct store_rec r;
	uint64_t from, n, flags;
	int err = first_extent(st, l, &r);

	if (err == -RAY_ENOENT) {
		remove_layer(st, l);
		return 1;
	}
	if (!err)
		err = room(st);
	if (err)
		return err;
	from = STORE_EXTENT_BLOCK(r.key);
	n = BIT(40) - from;
	err = map_prepare(st, l->id, from, &n);
	if (err)
		return err;
	flags = store_lock(st);
	map_clear(st, l, from, n, true);
	st->stats.reclaimed++;
	store_unlock(st, flags);
	return 1;
}

/* --- one becomes part of the other --- */

/* @l gets @n blocks of what @r has, where it stands on @parent in the end. */
static void put_over(struct store *st, struct layer *l, uint32_t parent, const struct store_rec *r,
		     uint64_t n)
{
	uint32_t flags = STORE_VAL_FLAGS(r->val);

	/* Zeros with nothing below are no different from nothing. */
	if (!(flags & STORE_EXTENT_ZERO) || parent != STORE_LAYER_NONE)
		map_put(st, l, STORE_EXTENT_BLOCK(r->key), STORE_VAL_PHYS(r->val), (uint32_t)n,
			flags);
}

/* Take what is above: it hides what the lower one has there. */
static int down_step(struct store *st, struct layer *low, struct layer *high,
		     const struct store_rec *r)
{
	uint64_t at = STORE_EXTENT_BLOCK(r->key), n = STORE_VAL_COUNT(r->val), flags;
	int err = map_prepare(st, low->id, at, &n);

	if (!err)
		err = map_prepare(st, high->id, at, &n);
	if (err)
		return err;
	flags = store_lock(st);
	map_clear(st, high, at, n, false);
	map_clear(st, low, at, n, true);
	put_over(st, low, low->parent, r, n);
	st->stats.moved++;
	store_unlock(st, flags);
	return 1;
}

/* The lower one is to be what the higher was to those who stand on that. */
static void down_end(struct store *st, struct layer *low, struct layer *high)
{
	uint64_t flags = store_lock(st);
	struct object *o;

	list_for_each_entry(o, &st->objects, all) {
		if (o->layer == high) {
			o->layer = low;
			object_changed(st, o);
		}
	}
	for (uint32_t i = 1; i < st->layers_cap; i++) {
		struct layer *l = st->layer[i];

		if (l && l->parent == high->id) {
			l->parent = low->id;
			layer_changed(st, l);
		}
	}
	low->refs += high->refs; /* and the higher one's own goes with it */
	layer_remove(st, high);
	store_unlock(st, flags);
}

/* Give the higher one what it does not hide. */
static int up_step(struct store *st, struct layer *low, struct layer *high,
		   const struct store_rec *r)
{
	uint64_t at = STORE_EXTENT_BLOCK(r->key), n = STORE_VAL_COUNT(r->val), flags;
	bool hidden;
	int err = map_layer_load(st, high->id, at, &n, &hidden);

	if (!err)
		err = map_prepare(st, low->id, at, &n);
	if (!err)
		err = map_prepare(st, high->id, at, &n);
	if (err)
		return err;
	flags = store_lock(st);
	map_clear(st, low, at, n, hidden);
	if (!hidden)
		put_over(st, high, low->parent, r, n);
	st->stats.moved++;
	store_unlock(st, flags);
	return 1;
}

static void up_end(struct store *st, struct layer *low, struct layer *high)
{
	uint64_t flags = store_lock(st);
	struct layer *below = layer_get(st, low->parent);

	high->parent = low->parent;
	if (below)
		below->refs++;
	layer_changed(st, high);
	layer_remove(st, low); /* it takes its own from the one below */
	store_unlock(st, flags);
}

static int join_step(struct store *st, struct layer *low, struct layer *high)
{
	bool down = low->blocks >= high->blocks;
	struct store_rec r;
	int err = first_extent(st, down ? high : low, &r);

	if (err == -RAY_ENOENT) {
		if (down)
			down_end(st, low, high);
		else
			up_end(st, low, high);
		return 1;
	}
	if (!err)
		err = room(st);
	if (err)
		return err;
	return down ? down_step(st, low, high, &r) : up_step(st, low, high, &r);
}

int store_reclaim(struct store *st)
{
	int err = store_writable(st);

	if (err)
		return err;
	for (uint32_t i = 0; i < st->layers_cap; i++) {
		uint32_t id = (st->reclaim_at + i) % st->layers_cap;
		struct layer *l = st->layer[id], *low = l ? layer_get(st, l->parent) : NULL;

		if (l && l->refs == 0)
			err = empty_step(st, l);
		else if (low && low->refs == 1)
			err = join_step(st, low, l);
		if (err) {
			st->reclaim_at = id;
			return st->failed ? st->failed : err;
		}
	}
	return 0;
}
