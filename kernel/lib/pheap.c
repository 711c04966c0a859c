/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/lib/pheap.h"

/* Both are roots without siblings; returns the smaller with the other as its first child. */
static struct pheap_node *meld(struct pheap_node *a, struct pheap_node *b)
{
	if (b->key < a->key) {
		struct pheap_node *t = a;

		a = b;
		b = t;
	}
	b->next = a->child;
	b->prev = a;
	if (b->next)
		b->next->prev = b;
	a->child = b;
	return a;
}

/*
 * Merge a list of siblings into one tree in two passes: pairs from left to right, then all
 * pairs from right to left. This order is what makes removal logarithmic.
 */
static struct pheap_node *merge_siblings(struct pheap_node *first)
{
	struct pheap_node *pairs = NULL, *tree = NULL;

	while (first) {
		struct pheap_node *a = first, *b = a->next;

		first = b ? b->next : NULL;
		if (b)
			a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct pheap_node *next = pairs->next;

		tree = tree ? meld(tree, pairs) : pairs;
		pairs = next;
	}
	if (tree) {
		tree->next = NULL;
		tree->prev = NULL;
	}
	return tree;
}

void pheap_meld(struct pheap *h, struct pheap_node *n)
{
	h->root = meld(h->root, n);
	h->root->next = NULL;
	h->root->prev = NULL;
}

void pheap_extract(struct pheap *h, struct pheap_node *n)
{
	struct pheap_node *sub = merge_siblings(n->child);

	if (n == h->root) {
		h->root = sub;
		return;
	}
	if (n->prev->child == n)
		n->prev->child = n->next;
	else
		n->prev->next = n->next;
	if (n->next)
		n->next->prev = n->prev;
	if (sub) {
		h->root = meld(h->root, sub);
		h->root->next = NULL;
		h->root->prev = NULL;
	}
}
