/* SPDX-License-Identifier: Apache-2.0 */
/* Page table builder, see paging.h. */
#include "boot/paging.h"

#include "kernel/lib/err.h"

#define ADDR_MASK 0x000ffffffffff000ull
#define LEAF_BITS (PAGING_W | PAGING_NX)

static uint64_t *table_at(uint64_t entry)
{
	return (uint64_t *)(uintptr_t)(entry & ADDR_MASK);
}

int paging_init(struct paging *p, uint64_t page_max, int (*page_alloc)(uint64_t *addr))
{
	*p = (struct paging){.page_max = page_max, .page_alloc = page_alloc};
	return p->page_alloc(&p->root);
}

static int table_get(struct paging *p, uint64_t *entry)
{
	uint64_t page;
	int err;

	if ((*entry & PAGING_P) != 0)
		return 0;
	err = p->page_alloc(&page);
	if (err)
		return err;
	*entry = page | PAGING_P | PAGING_W | PAGING_A;
	return 0;
}

struct want {
	uint64_t virt, phys, len, flags, page_max;
};

/* Map the front of @w; *done gets the bytes covered. */
static int map_one(struct paging *p, const struct want *w, uint64_t *done)
{
	uint64_t *table = table_at(p->root);

	for (unsigned int shift = 39;; shift -= 9) {
		uint64_t size = 1ull << shift;
		uint64_t *entry = &table[(w->virt >> shift) & 511];
		bool leaf = shift == PAGE_SHIFT || (*entry & PAGING_PS) != 0;
		int err;

		if ((*entry & PAGING_P) != 0 && leaf) {
			uint64_t off = w->virt & (size - 1);

			/* The PS bit of a large page is no address bit, PAT is not used. */
			if ((*entry & ADDR_MASK) + off != w->phys ||
			    (*entry & LEAF_BITS) != w->flags)
				return -RAY_EEXIST;
			*done = MIN(size - off, w->len);
			return 0;
		}
		if (size <= w->page_max && w->len >= size && IS_ALIGNED(w->virt | w->phys, size) &&
		    (*entry & PAGING_P) == 0) {
			*entry = w->phys | w->flags | PAGING_P | PAGING_A | PAGING_D |
				 (shift == PAGE_SHIFT ? 0 : PAGING_PS);
			*done = size;
			return 0;
		}
		err = table_get(p, entry);
		if (err)
			return err;
		table = table_at(*entry);
	}
}

int paging_map(struct paging *p, uint64_t virt, uint64_t phys, uint64_t len, uint64_t flags,
	       uint64_t page_max)
{
	struct want w = {virt, phys, len, flags, MIN(page_max, p->page_max)};

	if (!IS_ALIGNED(virt | phys | len, PAGE_SIZE) || (flags & ~LEAF_BITS) != 0)
		return -RAY_EINVAL;
	while (w.len > 0) {
		uint64_t done = 0;
		int err = map_one(p, &w, &done);

		if (err)
			return err;
		w.virt += done;
		w.phys += done;
		w.len -= done;
	}
	return 0;
}
