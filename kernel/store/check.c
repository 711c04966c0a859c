/* SPDX-License-Identifier: Apache-2.0 */
/* Does everything in a store fit together? Reads the whole tree, changes nothing. */
#include <stdarg.h>
#include <string.h>

#include "kernel/lib/bitmap.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/mm/heap.h"
#include "kernel/store/store_priv.h"

struct check {
	struct store *st;
	struct store_check *out;
	uint64_t **map;   /* of each group: what is taken by what was found */
	uint64_t *blocks; /* of each layer: found */
	uint32_t *refs;   /* the same: who stands on it */
	uint64_t end_key; /* where the extent before ends; of another layer: 0 */
};

static void __printf_fmt(2, 3) wrong(struct check *c, const char *fmt, ...)
{
	va_list ap;

	if (c->out->wrong++ > 0)
		return;
	va_start(ap, fmt);
	ray_vsnprintf(c->out->first, sizeof(c->out->first), fmt, ap);
	va_end(ap);
}

static void take(struct check *c, uint64_t first, uint64_t n, const char *who)
{
	uint64_t *map;
	size_t at = first & (STORE_GROUP_BLOCKS - 1);

	if (!space_valid(c->st, first, n)) {
		wrong(c, "%s is at block %llu, which it cannot have", who, (unsigned long long)first);
		return;
	}
	map = c->map[first >> STORE_GROUP_SHIFT];
	if (bitmap_next_set(map, at + n, at) != at + n)
		wrong(c, "block %llu has two owners, one is %s", (unsigned long long)first, who);
	bitmap_set_range(map, at, n);
}

/* --- the tree --- */

static void extent_check(struct check *c, const struct store_rec *r)
{
	uint32_t layer = STORE_EXTENT_LAYER(r->key), n = STORE_VAL_COUNT(r->val);

	c->out->extents++;
	if (!layer_get(c->st, layer)) {
		wrong(c, "an extent is of layer %u, which is none", layer);
		return;
	}
	if (r->key < c->end_key)
		wrong(c, "two extents of layer %u have block %llu", layer,
		      (unsigned long long)STORE_EXTENT_BLOCK(r->key));
	c->end_key = r->key + n;
	if (STORE_VAL_FLAGS(r->val) & STORE_EXTENT_ZERO)
		return;
	c->out->data += n;
	c->blocks[layer] += n;
	take(c, STORE_VAL_PHYS(r->val), n, "a volume's data");
}

static void records_check(struct check *c, const struct node *n)
{
	for (unsigned int i = 0; i < n->raw->count; i++) {
		const struct store_rec *r = &n->raw->rec[i];

		if (STORE_KEY_TYPE(r->key) == STORE_EXTENT)
			extent_check(c, r);
		else if (STORE_KEY_TYPE(r->key) < STORE_EXTENT || STORE_KEY_TYPE(r->key) > STORE_GROUP)
			wrong(c, "a record is of no kind: key 0x%llx", (unsigned long long)r->key);
	}
}

/* Every node, depth first. */
static int nodes_check(struct check *c)
{
	struct cursor cur = {.node = {c->st->tree.root}};

	for (;;) {
		struct node *n = cur.node[cur.depth];
		unsigned int at = cur.at[cur.depth];

		if (at == 0) {
			c->out->nodes++;
			if (n->raw->block)
				take(c, n->raw->block, 1, "a node");
			if (n->raw->level == 0)
				records_check(c, n);
		}
		if (n->raw->level > 0 && at < n->raw->count) {
			int err = n->child[at] ? 0 : tree_fetch(c->st, &cur);

			if (err)
				return err;
			cur.at[cur.depth]++; /* for when it comes back up */
			cur.node[cur.depth + 1] = n->child[at];
			cur.at[++cur.depth] = 0;
			continue;
		}
		if (cur.depth == 0)
			return 0;
		cur.depth--;
	}
}

/* --- what else there is --- */

static void layers_check(struct check *c)
{
	const struct store *st = c->st;
	const struct object *o;

	list_for_each_entry(o, &st->objects, all) {
		c->out->objects++;
		if (layer_get(st, o->layer->id) == o->layer)
			c->refs[o->layer->id]++;
	}
	for (uint32_t i = 1; i < st->layers_cap; i++) {
		if (st->layer[i] && layer_get(st, st->layer[i]->parent))
			c->refs[st->layer[i]->parent]++;
	}
	for (uint32_t i = 1; i < st->layers_cap; i++) {
		const struct layer *l = st->layer[i];

		if (!l)
			continue;
		if (l->blocks != c->blocks[i])
			wrong(c, "layer %u has %llu blocks, its record says %llu", i,
			      (unsigned long long)c->blocks[i], (unsigned long long)l->blocks);
		if (c->refs[i] != l->refs)
			wrong(c, "%u stand on layer %u, it knows of %u", c->refs[i], i, l->refs);
	}
	list_for_each_entry(o, &st->objects, all) {
		if (layer_get(st, o->layer->id) != o->layer)
			wrong(c, "object %u has no layer", o->id);
		else if (o->d.kind == STORE_VOLUME && o->layer->refs != 1)
			wrong(c, "volume %u shares its layer", o->id);
	}
}

static void freed_check(struct check *c)
{
	const struct store_claim *claim;

	for (const struct freed *f = c->st->space.ranges; f; f = f->next) {
		for (unsigned int i = 0; i < f->count; i++)
			take(c, f->range[i].block, f->range[i].count, "what was given back");
	}
	list_for_each_entry(claim, &c->st->claims, node)
		take(c, claim->phys, claim->n, "a claim");
}

static int bitmaps_check(struct check *c)
{
	struct store *st = c->st;
	uint64_t free = 0;

	for (uint32_t g = 0; g < st->space.groups; g++) {
		size_t weight = bitmap_weight(c->map[g], STORE_GROUP_BLOCKS);
		int err = 0;

		free += st->space.group[g].free;
		/* One that was never written to has nothing taken but what is fixed. */
		if (!st->space.group[g].map && !st->space.group[g].stored && weight == 0)
			continue;
		err = space_load(st, g);
		if (err)
			return err;
		space_fixed_mark(st, g, c->map[g]);
		if (memcmp(c->map[g], st->space.group[g].map, STORE_BLOCK) != 0) {
			size_t at = 0;

			while (bitmap_test(c->map[g], at) == bitmap_test(st->space.group[g].map, at))
				at++;
			wrong(c, "block %llu is %s, its bitmap says otherwise",
			      ((unsigned long long)g << STORE_GROUP_SHIFT) + at,
			      bitmap_test(c->map[g], at) ? "in use" : "in nobody's use");
		}
		if (bitmap_weight(st->space.group[g].map, STORE_GROUP_BLOCKS) !=
		    STORE_GROUP_BLOCKS - st->space.group[g].free)
			wrong(c, "group %u counts its free blocks wrongly", g);
	}
	if (free != st->space.free)
		wrong(c, "%llu blocks are free, the store counts %llu", (unsigned long long)free,
		      (unsigned long long)st->space.free);
	return 0;
}

static int check_memory(struct check *c)
{
	c->map = kcalloc(c->st->space.groups, sizeof(c->map[0]), MEM_STORE);
	c->blocks = kcalloc(MAX(c->st->layers_cap, 1u), sizeof(c->blocks[0]), MEM_STORE);
	c->refs = kcalloc(MAX(c->st->layers_cap, 1u), sizeof(c->refs[0]), MEM_STORE);
	if (!c->map || !c->blocks || !c->refs)
		return -RAY_ENOMEM;
	for (uint32_t g = 0; g < c->st->space.groups; g++) {
		c->map[g] = kzalloc(STORE_BLOCK, MEM_STORE);
		if (!c->map[g])
			return -RAY_ENOMEM;
	}
	return 0;
}

int store_check(struct store *st, struct store_check *out)
{
	struct check c = {.st = st, .out = out};
	int err;

	memset(out, 0, sizeof(*out));
	err = check_memory(&c);
	if (!err)
		err = nodes_check(&c);
	if (!err) {
		if (out->nodes != st->tree.nodes)
			wrong(&c, "the tree has %llu nodes, the store counts %llu",
			      (unsigned long long)out->nodes, (unsigned long long)st->tree.nodes);
		layers_check(&c);
		freed_check(&c);
		err = bitmaps_check(&c);
	}
	for (uint32_t g = 0; c.map && g < st->space.groups; g++)
		kfree(c.map[g]);
	kfree(c.map);
	kfree(c.blocks);
	kfree(c.refs);
	return err;
}
