/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/iommu/iopt.h"

#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"

#define ENTRIES  (1u << IOPT_BITS)
#define REFS_MAX UINT16_MAX

struct iopt_node {
	uint64_t *hw;
	union {
		struct iopt_node **child; /* ENTRIES of them; of level 1: */
		uint16_t *refs;
	};
};

static size_t side_size(unsigned int level)
{
	return level > 1 ? ENTRIES * sizeof(struct iopt_node *) : ENTRIES * sizeof(uint16_t);
}

static struct iopt_node *node_create(unsigned int level)
{
	struct iopt_node *n = kzalloc(sizeof(*n), MEM_DMA);
	void *side = kzalloc(side_size(level), MEM_DMA);
	hpa_t page;

	if (!n || !side || page_alloc(PAGE_ORDER_4K, PAGE_F_ZERO, &page)) {
		kfree(n);
		kfree(side);
		return NULL;
	}
	n->hw = hpa_to_va(page);
	if (level > 1)
		n->child = side;
	else
		n->refs = side;
	return n;
}

static void node_free(struct iopt_node *n)
{
	page_free(va_to_hpa(n->hw), PAGE_ORDER_4K);
	kfree(n->child);
	kfree(n);
}

int iopt_init(struct iopt *t, const struct iopt_format *f, unsigned int levels)
{
	*t = (struct iopt){.format = f, .levels = levels, .root = node_create(levels)};
	if (!t->root)
		return -RAY_ENOMEM;
	if (f->sync)
		f->sync(t->root->hw, PAGE_SIZE);
	return 0;
}

/* Children before their table; levels are 4 at most, so a path on the stack does. */
void iopt_fini(struct iopt *t)
{
	struct iopt_node *path[5];
	unsigned int next[5] = {0}, level = t->levels;

	if (!t->root)
		return;
	path[level] = t->root;
	while (level <= t->levels) {
		struct iopt_node *n = path[level];

		if (level > 1 && next[level] < ENTRIES) {
			struct iopt_node *child = n->child[next[level]++];

			if (child) {
				path[--level] = child;
				next[level] = 0;
			}
			continue;
		}
		node_free(n);
		level++;
	}
	t->root = NULL;
}

uint64_t iopt_root(const struct iopt *t)
{
	return va_to_hpa(t->root->hw).v;
}

static unsigned int index_at(uint64_t page, unsigned int level)
{
	return (unsigned int)(page >> (IOPT_BITS * (level - 1)) & (ENTRIES - 1));
}

static void entry_set(const struct iopt *t, uint64_t *e, uint64_t v)
{
	__atomic_store_n(e, v, __ATOMIC_RELEASE);
	if (t->format->sync)
		t->format->sync(e, sizeof(*e));
}

static struct iopt_node *child_make(const struct iopt *t, struct iopt_node *n, unsigned int i,
				    unsigned int level)
{
	struct iopt_node *c = node_create(level - 1);

	if (!c)
		return NULL;
	if (t->format->sync)
		t->format->sync(c->hw, PAGE_SIZE);
	n->child[i] = c;
	entry_set(t, &n->hw[i], t->format->table(va_to_hpa(c->hw).v, level));
	return c;
}

/* The table of level 1 for a page. NULL: there is none, or with @make no memory for it. */
static struct iopt_node *leaf_of(const struct iopt *t, uint64_t page, bool make)
{
	struct iopt_node *n = t->root;

	for (unsigned int level = t->levels; n && level > 1; level--) {
		unsigned int i = index_at(page, level);
		struct iopt_node *c = n->child[i];

		n = c || !make ? c : child_make(t, n, i, level);
	}
	return n;
}

static int page_map(const struct iopt *t, uint64_t page, uint64_t perms)
{
	struct iopt_node *n = leaf_of(t, page, true);
	unsigned int i = index_at(page, 1);
	uint64_t now;

	if (!n)
		return -RAY_ENOMEM;
	if (n->refs[i] == REFS_MAX)
		return -RAY_ENOSPC;
	now = t->format->leaf(page * PAGE_SIZE, perms);
	/* Rights of others who have it stay; the address is the same. */
	if (n->refs[i]++)
		now |= n->hw[i];
	if (now != n->hw[i])
		entry_set(t, &n->hw[i], now);
	return 0;
}

static bool page_unmap(const struct iopt *t, uint64_t page)
{
	struct iopt_node *n = leaf_of(t, page, false);
	unsigned int i = index_at(page, 1);

	if (!n || n->refs[i] == 0 || --n->refs[i] > 0)
		return false;
	entry_set(t, &n->hw[i], 0);
	return true;
}

static bool pages_unmap(struct iopt *t, uint64_t first, uint64_t end)
{
	bool gone = false;

	for (uint64_t page = first; page < end; page++)
		gone |= page_unmap(t, page);
	return gone;
}

int iopt_map(struct iopt *t, uint64_t hpa, uint64_t len, uint64_t perms)
{
	uint64_t first = hpa / PAGE_SIZE, last = (hpa + len - 1) / PAGE_SIZE;

	if (len == 0 || hpa + len - 1 < hpa || last >> (IOPT_BITS * t->levels))
		return -RAY_ERANGE;
	for (uint64_t page = first; page <= last; page++) {
		int err = page_map(t, page, perms);

		if (err) {
			/* They were not reachable for anybody: no cache knows them. */
			(void)pages_unmap(t, first, page);
			return err;
		}
	}
	return 0;
}

bool iopt_unmap(struct iopt *t, uint64_t hpa, uint64_t len)
{
	return pages_unmap(t, hpa / PAGE_SIZE, (hpa + len - 1) / PAGE_SIZE + 1);
}

bool iopt_reaches(const struct iopt *t, uint64_t hpa)
{
	const struct iopt_node *n = leaf_of(t, hpa / PAGE_SIZE, false);

	return n && n->refs[index_at(hpa / PAGE_SIZE, 1)] > 0;
}
