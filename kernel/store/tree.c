/* SPDX-License-Identifier: Apache-2.0 */
/* The tree, looked at: what is in memory only. Pure. */
#include "kernel/lib/err.h"
#include "kernel/store/store_priv.h"

unsigned int node_slot(const struct store_node *n, uint64_t key)
{
	unsigned int lo = 0, hi = n->count;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (n->rec[mid].key <= key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Down from c->node[c->depth] to its leaf, along the first or the last children. */
int tree_descend(struct cursor *c, bool last)
{
	while (c->node[c->depth]->raw->level > 0) {
		struct node *n = c->node[c->depth], *child = n->child[c->at[c->depth]];

		if (unlikely(!child))
			return -RAY_EAGAIN;
		child->used = true;
		c->depth++;
		c->node[c->depth] = child;
		c->at[c->depth] = last ? (uint16_t)(child->raw->count - 1) : 0;
	}
	return 0;
}

int tree_floor(struct tree *t, uint64_t key, struct cursor *c)
{
	struct node *n = t->root;
	unsigned int after;

	c->depth = 0;
	for (;;) {
		c->node[c->depth] = n;
		after = node_slot(n->raw, key);
		/* Keys below a node's first separator would be in its first child. */
		c->at[c->depth] = after > 0 ? (uint16_t)(after - 1) : 0;
		if (n->raw->level == 0)
			break;
		n = n->child[c->at[c->depth]];
		if (unlikely(!n))
			return -RAY_EAGAIN;
		n->used = true;
		c->depth++;
	}
	return likely(after > 0) ? 0 : tree_prev(c);
}

int tree_prev(struct cursor *c)
{
	while (c->at[c->depth] == 0) {
		if (c->depth == 0)
			return -RAY_ENOENT;
		c->depth--;
	}
	c->at[c->depth]--;
	return tree_descend(c, true);
}

int tree_next(struct cursor *c)
{
	while (c->at[c->depth] + 1 >= c->node[c->depth]->raw->count) {
		if (c->depth == 0)
			return -RAY_ENOENT;
		c->depth--;
	}
	c->at[c->depth]++;
	return tree_descend(c, false);
}

int tree_ceil(struct tree *t, uint64_t key, struct cursor *c)
{
	int err = tree_floor(t, key, c);

	if (err == 0)
		return cursor_rec(c)->key == key ? 0 : tree_next(c);
	if (err != -RAY_ENOENT || t->root->raw->count == 0)
		return err;
	c->depth = 0; /* all are greater: the first one */
	c->at[0] = 0;
	return tree_descend(c, false);
}

int tree_get(struct tree *t, uint64_t key, uint64_t *val, struct cursor *c)
{
	int err = tree_floor(t, key, c);

	if (err)
		return err;
	if (cursor_rec(c)->key != key)
		return -RAY_ENOENT;
	*val = cursor_rec(c)->val;
	return 0;
}
