/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree, changed: in memory, without failing. A node that changes is dirty, and so is the way
 * to it; the block it had is free after the next checkpoint. Nodes are split on the way down, so
 * that a change never has to come back up.
 */
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/panic.h"
#include "kernel/store/store_priv.h"

#define MERGE_BELOW (STORE_NODE_RECS / 4)
#define MERGE_FULL  (STORE_NODE_RECS * 3 / 4) /* or the next record would split it again */
#define FREED_ROOM  1200u /* ranges of one change: 256 extents, their leaves, checksums, the way */

/* --- memory --- */

struct node *node_create(bool inner)
{
	struct node *n = kzalloc(sizeof(*n), MEM_STORE);

	if (!n)
		return NULL;
	n->raw = kzalloc(sizeof(*n->raw), MEM_STORE);
	if (inner)
		n->child = kcalloc(STORE_NODE_RECS, sizeof(*n->child), MEM_STORE);
	if (!n->raw || (inner && !n->child)) {
		node_destroy(n);
		return NULL;
	}
	return n;
}

void node_destroy(struct node *n)
{
	if (!n)
		return;
	kfree(n->raw);
	kfree(n->child);
	kfree(n);
}

int tree_prepare(struct store *st)
{
	struct tree *t = &st->tree;
	unsigned int inners = MIN(3 * (t->height + 1), (uint32_t)ARRAY_SIZE(t->spare_inner));

	/* Only a tree that was made to be so, with nodes that have one child, comes to this. */
	if (t->height + 1 >= TREE_DEPTH && t->root->raw->count > STORE_NODE_RECS - 8)
		return -RAY_ENOSPC;
	while (t->spare_leaves < ARRAY_SIZE(t->spare_leaf)) {
		struct node *n = node_create(false);

		if (!n)
			return -RAY_ENOMEM;
		t->spare_leaf[t->spare_leaves++] = n;
	}
	while (t->spare_inners < inners) {
		struct node *n = node_create(true);

		if (!n)
			return -RAY_ENOMEM;
		t->spare_inner[t->spare_inners++] = n;
	}
	return space_free_prepare(st, FREED_ROOM);
}

static struct node *spare_take(struct tree *t, unsigned int level)
{
	struct node *n;

	ASSERT(level > 0 ? t->spare_inners > 0 : t->spare_leaves > 0);
	n = level > 0 ? t->spare_inner[--t->spare_inners] : t->spare_leaf[--t->spare_leaves];
	n->raw->level = (uint16_t)level;
	n->dirty = n->used = true;
	t->nodes++;
	t->cached++;
	t->dirty++;
	return n;
}

static void dirty(struct store *st, struct node *n)
{
	if (n->dirty)
		return;
	n->dirty = n->used = true;
	space_free(st, n->raw->block, 1);
	n->raw->block = 0;
	st->tree.dirty++;
}

/* It is no longer part of the tree. */
static void node_gone(struct store *st, struct node *n)
{
	dirty(st, n);
	if (n->raw->block) /* placed by a checkpoint that did not come to its end */
		space_free(st, n->raw->block, 1);
	st->tree.dirty--;
	st->tree.nodes--;
	st->tree.cached--;
	node_destroy(n);
}

/* --- records of one node --- */

static unsigned int child_of(const struct store_node *n, uint64_t key)
{
	unsigned int after = node_slot(n, key);

	return after > 0 ? after - 1 : 0;
}

static void rec_insert(struct node *n, unsigned int at, uint64_t key, uint64_t val,
		       struct node *child)
{
	struct store_node *r = n->raw;

	memmove(&r->rec[at + 1], &r->rec[at], (r->count - at) * sizeof(r->rec[0]));
	r->rec[at] = (struct store_rec){key, val};
	if (n->child) {
		memmove(&n->child[at + 1], &n->child[at], (r->count - at) * sizeof(child));
		n->child[at] = child;
	}
	r->count++;
}

static void rec_remove(struct node *n, unsigned int at)
{
	struct store_node *r = n->raw;

	r->count--;
	memmove(&r->rec[at], &r->rec[at + 1], (r->count - at) * sizeof(r->rec[0]));
	if (n->child) {
		memmove(&n->child[at], &n->child[at + 1],
			(r->count - at) * sizeof(n->child[0]));
		n->child[r->count] = NULL;
	}
}

/* The records of @from from @first on go to the end of @to. */
static void recs_move(struct node *to, struct node *from, unsigned int first)
{
	unsigned int count = from->raw->count - first;

	memcpy(&to->raw->rec[to->raw->count], &from->raw->rec[first],
	       count * sizeof(to->raw->rec[0]));
	if (to->child) {
		memcpy(&to->child[to->raw->count], &from->child[first],
		       count * sizeof(to->child[0]));
		memset(&from->child[first], 0, count * sizeof(from->child[0]));
	}
	to->raw->count = (uint16_t)(to->raw->count + count);
	from->raw->count = (uint16_t)first;
}

/* --- putting --- */

/*
 * How many records of a full node stay where they are when @key is to come in: half of them, or all
 * before it where it follows the one that came last, as in sequential writes, which leave full
 * nodes behind that way.
 */
static unsigned int keep_of(const struct tree *t, const struct store_node *n, uint64_t key)
{
	unsigned int at = node_slot(n, key);

	if (at == n->count || (at > 0 && n->rec[at - 1].key == t->last_put))
		return MIN(at, n->count - 1u);
	return n->count / 2u;
}

/* Make room for @key in the child at @at, which is full. */
static void split(struct store *st, struct node *parent, unsigned int at, uint64_t key)
{
	struct node *left = parent->child[at];
	struct node *right = spare_take(&st->tree, left->raw->level);
	unsigned int keep = keep_of(&st->tree, left->raw, key);

	dirty(st, left);
	recs_move(right, left, keep);
	rec_insert(parent, at + 1, right->raw->rec[0].key, 0, right);
}

static void grow(struct store *st, uint64_t key)
{
	struct tree *t = &st->tree;
	struct node *old = t->root, *root = spare_take(t, old->raw->level + 1u);

	ASSERT(t->height < TREE_DEPTH);
	rec_insert(root, 0, old->raw->rec[0].key, 0, old);
	t->root = root;
	t->height++;
	split(st, root, 0, key);
}

/* Down to the leaf for a key, everything on the way dirty. */
static struct node *way_down(struct store *st, uint64_t key, bool room)
{
	struct node *n;

	if (room && st->tree.root->raw->count == STORE_NODE_RECS)
		grow(st, key);
	n = st->tree.root;
	dirty(st, n);
	while (n->raw->level > 0) {
		unsigned int at = child_of(n->raw, key);

		ASSERT(n->child[at]);
		if (room && n->child[at]->raw->count == STORE_NODE_RECS) {
			split(st, n, at, key);
			at = child_of(n->raw, key);
		}
		/* A separator is never above what is below it. */
		if (room && key < n->raw->rec[at].key)
			n->raw->rec[at].key = key;
		n = n->child[at];
		dirty(st, n);
	}
	return n;
}

void tree_put(struct store *st, uint64_t key, uint64_t val)
{
	struct node *leaf = way_down(st, key, true);
	unsigned int at = node_slot(leaf->raw, key);

	if (at > 0 && leaf->raw->rec[at - 1].key == key)
		leaf->raw->rec[at - 1].val = val;
	else
		rec_insert(leaf, at, key, val, NULL);
	st->tree.last_put = key;
}

void tree_set(struct store *st, struct cursor *c, uint64_t val)
{
	for (unsigned int i = 0; i <= c->depth; i++)
		dirty(st, c->node[i]);
	cursor_rec(c)->val = val;
}

/* --- removing --- */

/* The child at @at has few records: one node of it and a neighbour that is in memory. */
static void merge(struct store *st, struct node *parent, unsigned int at)
{
	for (unsigned int left = at > 0 ? at - 1 : 0; left <= at; left++) {
		struct node *l = parent->child[left], *r;

		if (left + 1u >= parent->raw->count)
			break;
		r = parent->child[left + 1];
		if (!l || !r || l->raw->count + r->raw->count > MERGE_FULL)
			continue;
		dirty(st, l);
		recs_move(l, r, 0);
		rec_remove(parent, left + 1);
		node_gone(st, r);
		return;
	}
}

void tree_del(struct store *st, uint64_t key)
{
	struct tree *t = &st->tree;
	struct node *way[TREE_DEPTH], *n = way_down(st, key, false);
	unsigned int depth = 0, at = node_slot(n->raw, key);

	ASSERT(at > 0 && n->raw->rec[at - 1].key == key);
	rec_remove(n, at - 1);
	if (n->raw->count >= MERGE_BELOW)
		return;
	for (n = t->root; n->raw->level > 0; n = n->child[child_of(n->raw, key)])
		way[depth++] = n;
	while (depth-- > 0) {
		at = child_of(way[depth]->raw, key);
		n = way[depth]->child[at];
		if (n->raw->count == 0) {
			rec_remove(way[depth], at);
			node_gone(st, n);
		} else if (n->raw->count < MERGE_BELOW) {
			merge(st, way[depth], at);
		}
	}
	/* A root with one child is none, and one without children is a leaf. */
	while (t->root->raw->level > 0 && t->root->raw->count == 1 && t->root->child[0]) {
		n = t->root;
		t->root = n->child[0];
		n->child[0] = NULL;
		dirty(st, t->root);
		t->height--;
		node_gone(st, n);
	}
	if (t->root->raw->count == 0 && t->root->raw->level > 0) {
		t->root->raw->level = 0;
		t->height = 1;
	}
}
