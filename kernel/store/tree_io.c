/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree and the disk: nodes come in when they are asked for, checked against all that is known
 * of them, and go out in checkpoints.
 */
#include <string.h>
#include <zlib.h>

#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/store/store_priv.h"

#define BATCH 16u /* blocks of one write */

static uint32_t node_sum(const struct store_node *raw)
{
	static const uint8_t zero[sizeof(raw->sum)];
	uLong sum = crc32(0, zero, sizeof(zero));

	return (uint32_t)crc32(sum, (const uint8_t *)raw + sizeof(zero), STORE_BLOCK - sizeof(zero));
}

int node_check(const struct store *st, const struct store_node *raw, uint64_t block, uint64_t gen,
	       unsigned int level, const char **what)
{
	bool root = level + 1 == st->tree.height;

	*what = NULL;
	if (raw->sum != node_sum(raw))
		*what = "its checksum is wrong";
	else if (raw->store != st->id)
		*what = "it is of another store";
	else if (raw->block != block)
		*what = "it belongs elsewhere";
	else if ((raw->gen ^ gen) & (BIT(24) - 1))
		*what = "it is an old one";
	else if (raw->level != level)
		*what = "its level is wrong";
	else if (raw->count > STORE_NODE_RECS || (raw->count == 0 && !(root && level == 0)))
		*what = "its number of records is wrong";
	for (unsigned int i = 0; !*what && i < raw->count; i++) {
		if (i > 0 && raw->rec[i].key <= raw->rec[i - 1].key)
			*what = "its records are not in order";
		else if (level > 0 && !space_valid(st, STORE_CHILD_BLOCK(raw->rec[i].val), 1))
			*what = "it names a block that is none of the tree's";
		else if (level == 0 && STORE_KEY_TYPE(raw->rec[i].key) == STORE_EXTENT &&
			 !map_extent_valid(st, &raw->rec[i]))
			*what = "it names blocks that are none of a volume's";
	}
	return *what ? -RAY_EIO : 0;
}

static int node_read(struct store *st, uint64_t block, uint64_t gen, unsigned int level,
		     struct node **out)
{
	struct node *n = node_create(level > 0);
	const char *what;
	int err;

	if (!n)
		return -RAY_ENOMEM;
	err = st->port.read(st->port.ctx, block, n->raw, 1);
	if (err) {
		store_fail(st, err, "block %llu of the tree cannot be read",
			   (unsigned long long)block);
	} else if (node_check(st, n->raw, block, gen, level, &what)) {
		err = store_fail(st, -RAY_EIO, "block %llu of the tree is damaged: %s",
				 (unsigned long long)block, what);
	}
	if (err) {
		node_destroy(n);
		return err;
	}
	n->used = true;
	*out = n;
	return 0;
}

int tree_open(struct store *st)
{
	struct tree *t = &st->tree;
	int err;

	t->height = st->super.height;
	t->nodes = st->super.nodes;
	err = node_read(st, st->super.root, st->super.root_gen, t->height - 1, &t->root);
	if (!err)
		t->cached = 1;
	return err;
}

int tree_fetch(struct store *st, const struct cursor *c)
{
	struct node *n = c->node[c->depth], *child;
	unsigned int at = c->at[c->depth];
	const struct store_node *raw = n->raw;
	uint64_t val = raw->rec[at].val, flags;
	int err = node_read(st, STORE_CHILD_BLOCK(val), STORE_CHILD_GEN(val), raw->level - 1u,
			    &child);

	if (err)
		return err;
	/* Nothing of it may stand outside what its parent says. */
	if (child->raw->rec[0].key < raw->rec[at].key ||
	    (at + 1u < raw->count &&
	     child->raw->rec[child->raw->count - 1].key >= raw->rec[at + 1].key)) {
		node_destroy(child);
		return store_fail(st, -RAY_EIO, "block %llu of the tree is damaged: %s",
				  (unsigned long long)STORE_CHILD_BLOCK(val),
				  "its records belong elsewhere");
	}
	flags = store_lock(st);
	n->child[at] = child;
	st->tree.cached++;
	store_unlock(st, flags);
	return 0;
}

static int look_load(struct store *st, uint64_t key, struct cursor *c,
		     int (*look)(struct tree *t, uint64_t key, struct cursor *c))
{
	int err;

	while ((err = look(&st->tree, key, c)) == -RAY_EAGAIN) {
		err = tree_fetch(st, c);
		if (err)
			break;
	}
	return err;
}

int tree_floor_load(struct store *st, uint64_t key, struct cursor *c)
{
	return look_load(st, key, c, tree_floor);
}

int tree_ceil_load(struct store *st, uint64_t key, struct cursor *c)
{
	return look_load(st, key, c, tree_ceil);
}

int tree_next_load(struct store *st, struct cursor *c)
{
	int err = tree_next(c);

	while (err == -RAY_EAGAIN) {
		err = tree_fetch(st, c);
		if (!err)
			err = tree_descend(c, false);
	}
	return err;
}

int tree_load(struct store *st, uint64_t first, uint64_t last)
{
	struct cursor c;
	int err = tree_floor_load(st, first > 0 ? first - 1 : 0, &c);

	if (err == -RAY_ENOENT)
		err = tree_ceil_load(st, first, &c);
	while (!err && cursor_rec(&c)->key <= last)
		err = tree_next_load(st, &c);
	if (err && err != -RAY_ENOENT)
		return err;
	/* A new record may come before all of the node it would stand in. */
	err = tree_floor_load(st, last, &c);
	return err == -RAY_ENOENT ? 0 : err;
}

/* --- going out --- */

/* The dirty nodes, children before parents, each given to @each. A node's depth bounds the depth
 * of the calls. */
static int each_dirty(struct store *st, struct node *n,
		      int (*each)(struct store *st, struct node *n, void *arg), void *arg)
{
	int err = 0;

	if (!n->dirty)
		return 0;
	for (unsigned int i = 0; n->raw->level > 0 && i < n->raw->count && !err; i++) {
		if (n->child[i])
			err = each_dirty(st, n->child[i], each, arg);
	}
	return err ? err : each(st, n, arg);
}

static int place(struct store *st, struct node *n, void *arg)
{
	uint64_t flags;
	uint32_t got;
	int err;

	if (n->raw->block != 0)
		return 0;
	err = space_prepare(st);
	if (err)
		return err;
	flags = store_lock(st);
	got = space_take(st, 1, &n->raw->block);
	store_unlock(st, flags);
	*(bool *)arg = true;
	return got == 1 ? 0 : -RAY_ENOSPC;
}

int tree_place(struct store *st, bool *placed)
{
	return each_dirty(st, st->tree.root, place, placed);
}

/* Blocks that follow each other go out in one write. */
struct batch {
	uint8_t *buf;
	uint64_t first;
	uint32_t count;
};

static int batch_write(struct store *st, struct batch *b)
{
	int err = b->count > 0 ? st->port.write(st->port.ctx, b->first, b->buf, b->count) : 0;

	st->stats.meta_blocks += b->count;
	b->count = 0;
	return err;
}

static int write_node(struct store *st, struct node *n, void *arg)
{
	struct store_node *raw = n->raw;
	struct batch *b = arg;
	int err = 0;

	for (unsigned int i = 0; raw->level > 0 && i < raw->count; i++) {
		if (n->child[i] && n->child[i]->raw->gen == st->super.gen + 1)
			raw->rec[i].val = STORE_CHILD(n->child[i]->raw->block, st->super.gen + 1);
	}
	raw->store = st->id;
	raw->gen = st->super.gen + 1;
	raw->sum = node_sum(raw);
	if (b->count == BATCH || (b->count > 0 && raw->block != b->first + b->count))
		err = batch_write(st, b);
	if (b->count == 0)
		b->first = raw->block;
	memcpy(b->buf + (size_t)b->count++ * STORE_BLOCK, raw, STORE_BLOCK);
	n->dirty = false;
	st->tree.dirty--;
	return err;
}

int tree_write(struct store *st)
{
	struct batch b = {.buf = kmalloc((size_t)BATCH * STORE_BLOCK, MEM_STORE)};
	int err;

	if (!b.buf)
		return -RAY_ENOMEM;
	err = each_dirty(st, st->tree.root, write_node, &b);
	if (!err)
		err = batch_write(st, &b);
	kfree(b.buf);
	return err;
}

/* --- letting go --- */

/* Returns whether nothing below @n is in memory any more. */
static bool shrink(struct store *st, struct node *n, uint64_t max)
{
	bool empty = true;

	for (unsigned int i = 0; n->raw->level > 0 && i < n->raw->count; i++) {
		struct node *child = n->child[i];
		uint64_t flags;

		if (!child)
			continue;
		if (!shrink(st, child, max) || child->dirty || child->used ||
		    st->tree.cached <= max) {
			child->used = false;
			empty = false;
			continue;
		}
		flags = store_lock(st);
		n->child[i] = NULL;
		st->tree.cached--;
		store_unlock(st, flags);
		node_destroy(child);
	}
	return empty;
}

void tree_shrink(struct store *st, uint64_t max)
{
	/* The first look forgets who was used, the second lets them go. */
	for (int look = 0; look < 2 && st->tree.cached > max; look++)
		shrink(st, st->tree.root, max);
}

static void let_all_go(struct node *n)
{
	for (unsigned int i = 0; n->raw->level > 0 && i < n->raw->count; i++) {
		if (n->child[i])
			let_all_go(n->child[i]);
	}
	node_destroy(n);
}

void tree_close(struct store *st)
{
	struct tree *t = &st->tree;

	if (t->root)
		let_all_go(t->root);
	while (t->spare_leaves > 0)
		node_destroy(t->spare_leaf[--t->spare_leaves]);
	while (t->spare_inners > 0)
		node_destroy(t->spare_inner[--t->spare_inners]);
}
