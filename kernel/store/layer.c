/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers: what a volume differs in from the layer below it. A snapshot leaves the volume's layer
 * to the snapshot and gives the volume a new one on top, so it costs the same whatever is in
 * it. Every block with data belongs to one layer, so nobody has to count who uses it.
 */
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/store/store_priv.h"

#define RECORDS 2u /* of a layer */
#define FIRST_CAP 64u

static uint64_t layer_key(uint32_t id, unsigned int part)
{
	return STORE_KEY(STORE_LAYER, (uint64_t)id << 1 | part);
}

struct layer *layer_get(const struct store *st, uint32_t id)
{
	return id < st->layers_cap ? st->layer[id] : NULL;
}

static int room(struct store *st, uint32_t id)
{
	uint32_t cap = MAX(st->layers_cap, FIRST_CAP);
	struct layer **table, **old = st->layer;
	uint64_t flags;

	while (cap <= id)
		cap *= 2;
	if (cap == st->layers_cap)
		return 0;
	table = kcalloc(cap, sizeof(struct layer *), MEM_STORE);
	if (!table)
		return -RAY_ENOMEM;
	if (old)
		memcpy(table, old, st->layers_cap * sizeof(struct layer *));
	flags = store_lock(st);
	st->layer = table;
	st->layers_cap = cap;
	store_unlock(st, flags);
	kfree(old);
	return 0;
}

static uint32_t number_unused(const struct store *st, uint32_t not)
{
	for (uint32_t i = 0; i < st->layers_cap; i++) {
		uint32_t id = (st->layer_hint + i) % st->layers_cap;

		if (id != STORE_LAYER_NONE && id != not && !st->layer[id])
			return id;
	}
	/* The table grows. */
	return MAX(st->layers_cap, not + 1);
}

static struct layer *layer_new(struct store *st, uint32_t id)
{
	struct layer *l = kzalloc(sizeof(*l), MEM_STORE);

	if (!l)
		return NULL;
	l->saved = kzalloc(sizeof(*l->saved), MEM_STORE);
	if (!l->saved || room(st, id)) {
		layer_drop(l);
		return NULL;
	}
	l->id = id;
	return l;
}

struct layer *layer_prepare(struct store *st, const struct layer *other)
{
	uint32_t id = number_unused(st, other ? other->id : STORE_LAYER_NONE);
	struct layer *l = id < STORE_LAYERS_MAX ? layer_new(st, id) : NULL;

	if (l)
		st->layer_hint = id + 1;
	return l;
}

void layer_drop(struct layer *l)
{
	if (l)
		kfree(l->saved);
	kfree(l);
}

void layer_changed(struct store *st, struct layer *l)
{
	st->unsaved += !l->dirty;
	l->dirty = true;
}

void layer_apply(struct store *st, struct layer *l, struct layer *parent)
{
	l->parent = parent ? parent->id : STORE_LAYER_NONE;
	if (parent)
		parent->refs++;
	l->refs = 1;
	st->layer[l->id] = l;
	st->layer_count++;
	layer_changed(st, l);
}

void layer_put(struct layer *l)
{
	l->refs--;
}

void layer_remove(struct store *st, struct layer *l)
{
	struct layer *parent = layer_get(st, l->parent);

	if (parent)
		layer_put(parent);
	st->layer[l->id] = NULL;
	st->layer_count--;
	dead_add(st, l->saved, layer_key(l->id, 0), RECORDS);
	kfree(l);
}

int layers_save(struct store *st)
{
	for (uint32_t i = 1; i < st->layers_cap; i++) {
		struct layer *l = st->layer[i];
		uint64_t flags;
		int err;

		if (!l || !l->dirty)
			continue;
		err = tree_load(st, layer_key(i, 0), layer_key(i, 1));
		if (!err)
			err = tree_prepare(st);
		if (err)
			return err;
		flags = store_lock(st);
		tree_put(st, layer_key(i, 0), l->parent);
		tree_put(st, layer_key(i, 1), l->blocks);
		store_unlock(st, flags);
		l->dirty = false;
	}
	return 0;
}

static int layer_take(struct store *st, uint64_t key, uint64_t val)
{
	uint64_t id = STORE_KEY_REST(key) >> 1;
	struct layer *l;

	if (id == STORE_LAYER_NONE || id >= STORE_LAYERS_MAX)
		return store_fail(st, -RAY_EIO, "layer %llu cannot be", (unsigned long long)id);
	if (key & 1) {
		l = layer_get(st, (uint32_t)id);
		if (!l || val > st->super.blocks)
			return store_fail(st, -RAY_EIO, "the record of layer %llu is nonsense",
					  (unsigned long long)id);
		l->blocks = val;
		return 0;
	}
	if (val >= STORE_LAYERS_MAX || val == id)
		return store_fail(st, -RAY_EIO, "layer %llu stands on nonsense",
				  (unsigned long long)id);
	l = layer_new(st, (uint32_t)id);
	if (!l)
		return -RAY_ENOMEM;
	l->parent = (uint32_t)val;
	st->layer[id] = l;
	st->layer_count++;
	return 0;
}

/* Each stands on one that is there, and none, by way of others, on itself. A layer that was
 * followed to its end is not followed again: `dirty` says so for the time being. */
static int parents_check(struct store *st)
{
	int err = 0;

	for (uint32_t i = 1; i < st->layers_cap && !err; i++) {
		struct layer *l = st->layer[i], *p = l;
		uint32_t steps = 0;

		if (!l)
			continue;
		for (; p && !p->dirty && steps <= st->layer_count; steps++) {
			if (p->parent != STORE_LAYER_NONE && !layer_get(st, p->parent))
				return store_fail(st, -RAY_EIO, "layer %u stands on none, %u", p->id,
						  p->parent);
			p = layer_get(st, p->parent);
		}
		if (steps > st->layer_count)
			return store_fail(st, -RAY_EIO, "layer %u stands on itself", i);
		for (p = l; p && !p->dirty; p = layer_get(st, p->parent))
			p->dirty = true;
		if (l->parent != STORE_LAYER_NONE)
			layer_get(st, l->parent)->refs++;
	}
	for (uint32_t i = 1; i < st->layers_cap; i++) {
		if (st->layer[i])
			st->layer[i]->dirty = false;
	}
	return err;
}

int layers_load(struct store *st)
{
	uint64_t last = STORE_KEY(STORE_LAYER, BIT(60) - 1);
	struct cursor c;
	int err = tree_ceil_load(st, STORE_KEY(STORE_LAYER, 0), &c);

	while (!err && cursor_rec(&c)->key <= last) {
		err = layer_take(st, cursor_rec(&c)->key, cursor_rec(&c)->val);
		if (!err)
			err = tree_next_load(st, &c);
	}
	return err && err != -RAY_ENOENT ? err : parents_check(st);
}

void layers_fini(struct store *st)
{
	for (uint32_t i = 0; i < st->layers_cap; i++)
		layer_drop(st->layer[i]);
	kfree(st->layer);
}
