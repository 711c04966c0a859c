/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive pairing heap, smallest key first: insertion in constant time, removal in
 * amortised logarithmic time, no allocation and no limit. Pure: the caller's lock protects it.
 * Fredman, Sedgewick, Sleator, Tarjan: "The pairing heap", Algorithmica 1 (1986).
 */
#ifndef RAYOS_KERNEL_LIB_PHEAP_H
#define RAYOS_KERNEL_LIB_PHEAP_H

#include "kernel/lib/types.h"

struct pheap_node {
	struct pheap_node *child; /* first child */
	struct pheap_node *next;  /* next sibling */
	struct pheap_node *prev;  /* previous sibling, or the parent of a first child */
	uint64_t key;
};

struct pheap {
	struct pheap_node *root; /* NULL when empty; the smallest key */
};

static inline struct pheap_node *pheap_min(const struct pheap *h)
{
	return h->root;
}

/* The general cases of the two below. */
void pheap_meld(struct pheap *h, struct pheap_node *n);
void pheap_extract(struct pheap *h, struct pheap_node *n);

/** Add @n under @key. It must not be in a heap. Of equal keys any may come first. */
static inline void pheap_insert(struct pheap *h, struct pheap_node *n, uint64_t key)
{
	*n = (struct pheap_node){ .key = key };
	if (h->root)
		pheap_meld(h, n);
	else
		h->root = n;
}

/** Take @n, which is in @h, out. */
static inline void pheap_remove(struct pheap *h, struct pheap_node *n)
{
	if (n == h->root && !n->child)
		h->root = NULL;
	else
		pheap_extract(h, n);
}

/** Give @n, which is in @h, another key. */
static inline void pheap_update(struct pheap *h, struct pheap_node *n, uint64_t key)
{
	/* The common case: the smallest stays the smallest. */
	if (n == h->root && (!n->child || key <= n->key)) {
		n->key = key;
		return;
	}
	pheap_remove(h, n);
	pheap_insert(h, n, key);
}

#endif
