/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for bits that flipped: everything that has a checksum is read from the disk again, also
 * what is in memory. A piece at a time, so that requests go on in between; what changes meanwhile
 * was written just now.
 */
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/mm/heap.h"
#include "kernel/store/store_priv.h"

#define PIECE        64u  /* blocks of data that are read at once */
#define STEP_RECORDS 512u /* that one step looks at */
#define STEP_GROUPS  64u

enum phase { PHASE_SUPER, PHASE_GROUPS, PHASE_TREE, PHASE_DONE };

static void found(struct store_scrub *s, const char *what)
{
	s->wrong++;
	s->bad(s->arg, what);
}

/* --- what has a fixed place --- */

static int supers_scrub(struct store *st, struct store_scrub *s)
{
	for (unsigned int slot = 0; slot < 2; slot++) {
		uint64_t block = slot == 0 ? 0 : st->super.blocks - 1;
		char what[STORE_WHY_LEN];
		int err = st->port.read(st->port.ctx, block, s->buf, 1);

		s->blocks++;
		if (!err && memcmp(s->buf, &st->super, sizeof(st->super)) == 0)
			continue;
		ray_snprintf(what, sizeof(what), "the superblock in block %llu is damaged",
			     (unsigned long long)block);
		found(s, what);
	}
	s->phase = PHASE_GROUPS;
	return 1;
}

static int groups_scrub(struct store *st, struct store_scrub *s)
{
	for (unsigned int i = 0; i < STEP_GROUPS && s->group < st->space.groups; i++, s->group++) {
		const struct group *g = &st->space.group[s->group];
		uint64_t block = space_bitmap_block(st, s->group, g->slot);
		char what[STORE_WHY_LEN];

		if (!g->stored)
			continue;
		s->blocks++;
		if (st->port.read(st->port.ctx, block, s->buf, 1) == 0 &&
		    store_sum_of(s->buf, STORE_BLOCK) == g->sum)
			continue;
		ray_snprintf(what, sizeof(what), "the bitmap of group %u in block %llu is damaged",
			     s->group, (unsigned long long)block);
		found(s, what);
	}
	if (s->group == st->space.groups)
		s->phase = PHASE_TREE;
	return 1;
}

/* --- the tree --- */

/* A node as it is on the disk. What is in memory is whole: a checkpoint writes it elsewhere. */
static int node_scrub(struct store *st, struct store_scrub *s, const struct node *n)
{
	const char *why;
	char what[STORE_WHY_LEN];

	if (n->dirty)
		return 0;
	s->blocks++;
	if (st->port.read(st->port.ctx, n->raw->block, s->buf, 1) == 0 &&
	    node_check(st, s->buf, n->raw->block, n->raw->gen, n->raw->level, &why) == 0)
		return 0;
	ray_snprintf(what, sizeof(what),
		     "block %llu of the tree is damaged; it is written anew from memory",
		     (unsigned long long)n->raw->block);
	found(s, what);
	return 1;
}

/* The nodes on the way that were not seen before. */
static int way_scrub(struct store *st, struct store_scrub *s, struct cursor *c)
{
	bool bad = false;

	for (unsigned int d = 0; d <= c->depth; d++) {
		const struct node *n = c->node[d];

		if (s->seen[d] == n->raw && s->seen_block[d] == n->raw->block)
			continue;
		s->seen[d] = n->raw;
		s->seen_block[d] = n->raw->block;
		bad |= node_scrub(st, s, n) != 0;
	}
	if (bad) {
		uint64_t flags;
		int err = tree_prepare(st);

		if (err)
			return err;
		flags = store_lock(st);
		tree_set(st, c, cursor_rec(c)->val);
		store_unlock(st, flags);
	}
	return 0;
}

static bool stands_on(const struct store *st, const struct object *o, uint32_t layer)
{
	const struct layer *l = o->layer;

	while (l && l->id != layer)
		l = layer_get(st, l->parent);
	return l != NULL;
}

/* Who has the layer, for people: the object whose it is, or one that stands on it. */
static void owner_name(const struct store *st, uint32_t layer, char *out, size_t size)
{
	const struct object *o, *of, *who = NULL;

	list_for_each_entry(o, &st->objects, all) {
		if (o->layer->id == layer || (!who && stands_on(st, o, layer)))
			who = o;
		if (o->layer->id == layer)
			break;
	}
	of = who && who->d.kind == STORE_SNAPSHOT ? object_by_id(st, who->d.origin) : NULL;
	if (who)
		ray_snprintf(out, size, "%s%s%s", of ? of->d.name : "", of ? "@" : "", who->d.name);
	else
		ray_snprintf(out, size, "(deleted)");
}

static void sum_scrub(struct store *st, struct store_scrub *s, const struct store_rec *r,
		      uint32_t i, const uint8_t *data)
{
	char who[2 * STORE_NAME_MAX + 2], what[2 * STORE_WHY_LEN];
	uint64_t phys = STORE_VAL_PHYS(r->val) + i;
	uint32_t want = 0;

	s->blocks++;
	s->data++;
	if (store_sum(st, phys, &want) == 0 && data && store_sum_of(data, STORE_BLOCK) == want)
		return;
	owner_name(st, STORE_EXTENT_LAYER(r->key), who, sizeof(who));
	ray_snprintf(what, sizeof(what), "block %llu of '%s' %s (block %llu of the store)",
		     (unsigned long long)(STORE_EXTENT_BLOCK(r->key) + i), who,
		     data ? "is not what was written" : "cannot be read",
		     (unsigned long long)phys);
	found(s, what);
}

/* Up to PIECE blocks of an extent, from s->into on. Returns whether it is through with it. */
static bool extent_scrub(struct store *st, struct store_scrub *s, const struct store_rec *r)
{
	uint32_t count = STORE_VAL_COUNT(r->val), n;
	int err;

	if (!(STORE_VAL_FLAGS(r->val) & STORE_EXTENT_SUMS) || s->into >= count)
		return true;
	n = MIN(count - s->into, PIECE);
	err = st->port.read(st->port.ctx, STORE_VAL_PHYS(r->val) + s->into, s->buf, n);
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *data = (uint8_t *)s->buf + (size_t)i * STORE_BLOCK;

		/* Where a piece cannot be read, its blocks are asked for one by one. */
		if (err && st->port.read(st->port.ctx, STORE_VAL_PHYS(r->val) + s->into + i, data, 1))
			data = NULL;
		sum_scrub(st, s, r, s->into + i, data);
	}
	s->into += n;
	return s->into >= count;
}

static int tree_scrub(struct store *st, struct store_scrub *s)
{
	struct cursor c;
	int err = tree_ceil_load(st, s->key, &c);

	for (unsigned int i = 0; i < STEP_RECORDS && !err; i++) {
		struct store_rec r = *cursor_rec(&c);

		if (r.key != s->key)
			s->into = 0;
		s->key = r.key;
		err = way_scrub(st, s, &c);
		if (err)
			return err;
		if (STORE_KEY_TYPE(r.key) == STORE_EXTENT &&
		    STORE_VAL_FLAGS(r.val) & STORE_EXTENT_SUMS) {
			if (!extent_scrub(st, s, &r))
				return 1;
			i += PIECE;
		}
		s->key = r.key + 1;
		s->into = 0;
		err = tree_next_load(st, &c);
	}
	if (err == -RAY_ENOENT) {
		s->phase = PHASE_DONE;
		return 0;
	}
	return err ? err : 1;
}

int store_scrub_begin(struct store_scrub *s, void (*bad)(void *arg, const char *what), void *arg)
{
	memset(s, 0, sizeof(*s));
	s->bad = bad;
	s->arg = arg;
	s->buf = kmalloc((size_t)PIECE * STORE_BLOCK, MEM_STORE);
	return s->buf ? 0 : -RAY_ENOMEM;
}

int store_scrub_step(struct store *st, struct store_scrub *s)
{
	tree_shrink(st, st->cache_max);
	switch ((enum phase)s->phase) {
	case PHASE_SUPER:
		return supers_scrub(st, s);
	case PHASE_GROUPS:
		return groups_scrub(st, s);
	case PHASE_TREE:
		return st->failed ? st->failed : tree_scrub(st, s);
	case PHASE_DONE:
		break;
	}
	return 0;
}

void store_scrub_end(struct store_scrub *s)
{
	kfree(s->buf);
}
