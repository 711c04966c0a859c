/* SPDX-License-Identifier: Apache-2.0 */
/* Extents: which of a layer's blocks are where, and what a volume sees through its layers. */
#include "kernel/lib/err.h"
#include "kernel/store/store_priv.h"

#define EXTENTS_MAX 256u /* that one change takes away */
#define SUMS_MAX    (2 * STORE_IO_BLOCKS) /* blocks with checksums, the same */

bool map_extent_valid(const struct store *st, const struct store_rec *r)
{
	uint64_t block = STORE_EXTENT_BLOCK(r->key), phys = STORE_VAL_PHYS(r->val);
	uint32_t n = STORE_VAL_COUNT(r->val), flags = STORE_VAL_FLAGS(r->val);

	if (n == 0 || flags & ~STORE_EXTENT_FLAGS || block + n > BIT(40) ||
	    STORE_EXTENT_LAYER(r->key) == STORE_LAYER_NONE)
		return false;
	return flags & STORE_EXTENT_ZERO ? phys == 0 : space_valid(st, phys, n);
}

/* --- looking up --- */

/*
 * What one layer says of block @l: 0 and *r, the extent that has it; -RAY_ENOENT: nothing, for
 * *n blocks; -RAY_EAGAIN.
 */
static int layer_find(struct store *st, uint32_t layer, uint64_t l, uint64_t *n,
		      struct store_rec *r, struct cursor *c)
{
	uint64_t key = STORE_KEY_EXTENT(layer, l);
	int err = tree_floor(&st->tree, key, c);

	if (err == 0) {
		*r = *cursor_rec(c);
		if (same_layer(r->key, key) &&
		    l - STORE_EXTENT_BLOCK(r->key) < STORE_VAL_COUNT(r->val))
			return 0;
		err = tree_next(c);
	} else if (err == -RAY_ENOENT) {
		err = tree_ceil(&st->tree, key, c);
	}
	if (err == -RAY_EAGAIN)
		return err;
	if (err == 0 && same_layer(cursor_rec(c)->key, key))
		*n = MIN(*n, STORE_EXTENT_BLOCK(cursor_rec(c)->key) - l);
	return -RAY_ENOENT;
}

static int find(struct store *st, const struct layer *top, uint64_t l, uint64_t n,
		struct store_piece *out, struct cursor *c)
{
	struct store_rec r = {0, 0};
	bool alone = true; /* nobody else sees it */

	for (const struct layer *at = top; at; at = layer_get(st, at->parent)) {
		int err = layer_find(st, at->id, l, &n, &r, c);
		uint64_t into = l - STORE_EXTENT_BLOCK(r.key);

		alone = alone && at->refs == 1;
		if (err == -RAY_ENOENT)
			continue;
		if (err)
			return err;
		n = MIN(n, STORE_VAL_COUNT(r.val) - into);
		if (STORE_VAL_FLAGS(r.val) & STORE_EXTENT_ZERO)
			break;
		out->kind = STORE_PIECE_DATA;
		out->sums = (STORE_VAL_FLAGS(r.val) & STORE_EXTENT_SUMS) != 0;
		out->own = alone && !out->sums;
		out->phys = STORE_VAL_PHYS(r.val) + into;
		out->n = n;
		return 0;
	}
	*out = (struct store_piece){.kind = STORE_PIECE_ZERO, .n = n};
	return 0;
}

int store_find(struct store *st, uint32_t id, uint64_t l, uint64_t n, struct store_piece *out)
{
	uint64_t flags = spin_lock_irqsave(&st->lock);
	const struct object *o = object_by_id(st, id);
	struct cursor c;
	int err = -RAY_ENOENT;

	if (likely(o))
		err = find(st, o->layer, l, n, out, &c);
	out->changes = st->changes;
	store_unlock(st, flags);
	return err;
}

uint64_t store_changes(const struct store *st)
{
	return __atomic_load_n(&st->changes, __ATOMIC_ACQUIRE);
}

static int find_load(struct store *st, const struct layer *layer, uint64_t l, uint64_t n,
		     struct store_piece *out)
{
	struct cursor c;
	int err;

	while ((err = find(st, layer, l, n, out, &c)) == -RAY_EAGAIN) {
		err = tree_fetch(st, &c);
		if (err)
			break;
	}
	return err;
}

int map_layer_load(struct store *st, uint32_t layer, uint64_t l, uint64_t *n, bool *has)
{
	struct store_rec r;
	struct cursor c;
	int err;

	while ((err = layer_find(st, layer, l, n, &r, &c)) == -RAY_EAGAIN) {
		err = tree_fetch(st, &c);
		if (err)
			break;
	}
	*has = err == 0;
	if (*has)
		*n = MIN(*n, STORE_EXTENT_BLOCK(r.key) + STORE_VAL_COUNT(r.val) - l);
	return err == -RAY_ENOENT ? 0 : err;
}

int store_find_load(struct store *st, uint32_t id, uint64_t l, uint64_t n, struct store_piece *out)
{
	const struct object *o = object_by_id(st, id);

	if (!o)
		return -RAY_ENOENT;
	tree_shrink(st, st->cache_max);
	return find_load(st, o->layer, l, n, out);
}

/* --- changing --- */

/* The checksums of what an extent gives up; shortens the change where they are too many. */
static int extent_prepare(struct store *st, const struct store_rec *r, uint64_t l, uint64_t *n,
			  uint64_t *budget)
{
	uint64_t first = STORE_EXTENT_BLOCK(r->key), from = MAX(first, l);
	uint64_t to = MIN(first + STORE_VAL_COUNT(r->val), l + *n), part;

	if (from >= to || !(STORE_VAL_FLAGS(r->val) & STORE_EXTENT_SUMS))
		return 0;
	part = MIN(to - from, *budget);
	*budget -= part;
	if (part < to - from)
		*n = from + part - l;
	return part > 0 ? sums_prepare(st, STORE_VAL_PHYS(r->val) + (from - first), part) : 0;
}

/* Load what a change of [l, l + n) touches; shorten it to what one change can do. */
int map_prepare(struct store *st, uint32_t layer, uint64_t l, uint64_t *n)
{
	uint64_t first = STORE_KEY_EXTENT(layer, l), budget = SUMS_MAX;
	unsigned int extents = 0;
	struct cursor c;
	int err;

	err = tree_load(st, first, first);
	if (err)
		return err;
	err = tree_floor_load(st, first, &c);
	if (err == -RAY_ENOENT)
		err = tree_ceil_load(st, first, &c);
	while (!err && cursor_rec(&c)->key < first + *n) {
		struct store_rec r = *cursor_rec(&c);

		if (r.key > first && ++extents == EXTENTS_MAX) {
			*n = r.key - first;
			break;
		}
		if (same_layer(r.key, first))
			err = extent_prepare(st, &r, l, n, &budget);
		if (!err)
			err = tree_next_load(st, &c);
	}
	if (err && err != -RAY_ENOENT)
		return err;
	return tree_load(st, first, first + *n);
}

static void blocks_add(struct store *st, struct layer *layer, uint64_t n)
{
	layer->blocks += n;
	layer_changed(st, layer);
}

/* A part of an extent is no longer the layer's. */
static void let_go(struct store *st, struct layer *layer, uint64_t phys, uint64_t n, uint32_t flags)
{
	if (flags & STORE_EXTENT_ZERO)
		return;
	if (flags & STORE_EXTENT_SUMS)
		sums_del(st, phys, n);
	space_free(st, phys, n);
	blocks_add(st, layer, (uint64_t)0 - n);
}

/* @r without [l, end), of which it has a part. */
static void cut(struct store *st, struct cursor *c, struct layer *layer, uint64_t l, uint64_t end)
{
	struct store_rec r = *cursor_rec(c);
	uint64_t first = STORE_EXTENT_BLOCK(r.key), phys = STORE_VAL_PHYS(r.val);
	uint64_t last = first + STORE_VAL_COUNT(r.val), from = MAX(first, l), to = MIN(last, end);
	uint32_t flags = STORE_VAL_FLAGS(r.val);
	bool zero = (flags & STORE_EXTENT_ZERO) != 0;

	if (first < from)
		tree_set(st, c, STORE_VAL_EXTENT(phys, from - first, flags));
	else
		tree_del(st, r.key);
	if (to < last)
		tree_put(st, STORE_KEY_EXTENT(layer->id, to),
			 STORE_VAL_EXTENT(zero ? 0 : phys + (to - first), last - to, flags));
}

void map_clear(struct store *st, struct layer *layer, uint64_t l, uint64_t n, bool give_back)
{
	uint64_t end = l + n;
	struct cursor c;

	/* From the end to the beginning: what is cut off stays out of sight. */
	while (tree_floor(&st->tree, STORE_KEY_EXTENT(layer->id, end - 1), &c) == 0) {
		struct store_rec r = *cursor_rec(&c);
		uint64_t first = STORE_EXTENT_BLOCK(r.key), from = MAX(first, l);
		uint64_t to = MIN(first + STORE_VAL_COUNT(r.val), end);

		if (!same_layer(r.key, STORE_KEY_EXTENT(layer->id, 0)) || from >= to)
			break;
		if (give_back)
			let_go(st, layer, STORE_VAL_PHYS(r.val) + (from - first), to - from,
			       STORE_VAL_FLAGS(r.val));
		else if (!(STORE_VAL_FLAGS(r.val) & STORE_EXTENT_ZERO))
			blocks_add(st, layer, (uint64_t)0 - (to - from));
		cut(st, &c, layer, l, end);
		if (from == l)
			break;
		end = from;
	}
}

/* Can @next, which begins where @r ends, be part of it? */
static bool joins(uint64_t val, uint64_t next)
{
	uint32_t n = STORE_VAL_COUNT(val), flags = STORE_VAL_FLAGS(val);

	return flags == STORE_VAL_FLAGS(next) && n + STORE_VAL_COUNT(next) <= STORE_EXTENT_MAX &&
	       (flags & STORE_EXTENT_ZERO || STORE_VAL_PHYS(val) + n == STORE_VAL_PHYS(next));
}

void map_put(struct store *st, struct layer *layer, uint64_t l, uint64_t phys, uint32_t n,
	     uint32_t flags)
{
	uint64_t val = STORE_VAL_EXTENT(phys, n, flags), key = STORE_KEY_EXTENT(layer->id, l);
	struct cursor c;

	if (!(flags & STORE_EXTENT_ZERO))
		blocks_add(st, layer, n);
	if (tree_floor(&st->tree, key, &c) == 0) {
		struct store_rec *r = cursor_rec(&c);

		if (same_layer(r->key, key) && l > 0 &&
		    STORE_EXTENT_BLOCK(r->key) + STORE_VAL_COUNT(r->val) == l && joins(r->val, val)) {
			n += STORE_VAL_COUNT(r->val);
			val = STORE_VAL_EXTENT(STORE_VAL_PHYS(r->val), n, flags);
			tree_set(st, &c, val);
			key = r->key;
		} else {
			tree_put(st, key, val);
		}
	} else {
		tree_put(st, key, val);
	}
	/* What follows may go on from it. */
	if (tree_ceil(&st->tree, key + n, &c) == 0 && cursor_rec(&c)->key == key + n &&
	    (STORE_EXTENT_BLOCK(key) + n) < BIT(40) && joins(val, cursor_rec(&c)->val)) {
		n += STORE_VAL_COUNT(cursor_rec(&c)->val);
		tree_del(st, cursor_rec(&c)->key);
		if (tree_floor(&st->tree, key, &c) == 0)
			tree_set(st, &c, STORE_VAL_EXTENT(STORE_VAL_PHYS(val), n, flags));
	}
}
