/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/mm/pagetable.h"

#include "kernel/lib/err.h"
#include "kernel/mm/page.h"
#include "kernel/panic.h"

#define TOP_LEVEL (PT_LEVELS - 1)

static unsigned int level_shift(unsigned int level)
{
	return PAGE_SHIFT + 9 * level;
}

static uint64_t *table_of(uint64_t entry)
{
	return hpa_to_va(HPA(entry & PTE_ADDR));
}

static unsigned int index_of(uint64_t va, unsigned int level)
{
	return (va >> level_shift(level)) & (PT_ENTRIES - 1);
}

/* The table an entry points to, made if it is missing; NULL when there is no memory. */
static uint64_t *table_get(uint64_t *entry)
{
	hpa_t page;

	ASSERT(!(*entry & PTE_P) || !(*entry & PTE_PS));
	if (!(*entry & PTE_P)) {
		if (page_alloc(0, PAGE_F_ZERO, &page) != 0)
			return NULL;
		/* Readers walk without a lock: the zeroed page comes first, then its entry. */
		__atomic_store_n(entry, page.v | PTE_P | PTE_W | PTE_A, __ATOMIC_RELEASE);
	}
	return table_of(*entry);
}

static unsigned int leaf_level(uint64_t va, uint64_t pa, uint64_t len, unsigned int max_shift)
{
	unsigned int level = 2;

	while (level > 0 && (level_shift(level) > max_shift ||
			     !IS_ALIGNED(va | pa, 1ull << level_shift(level)) ||
			     len < 1ull << level_shift(level)))
		level--;
	return level;
}

int pt_map(hpa_t root, uint64_t va, uint64_t pa, uint64_t len, uint64_t attrs,
	   unsigned int max_shift)
{
	ASSERT(IS_ALIGNED(va | pa | len, PAGE_SIZE));
	while (len) {
		unsigned int leaf = leaf_level(va, pa, len, max_shift);
		uint64_t step = 1ull << level_shift(leaf);
		uint64_t *table = hpa_to_va(root);

		for (unsigned int level = TOP_LEVEL; level > leaf; level--) {
			table = table_get(&table[index_of(va, level)]);
			if (!table)
				return -RAY_ENOMEM;
		}
		ASSERT(!(table[index_of(va, leaf)] & PTE_P));
		/* A 4 KiB page more often than not: fill the rest of the table in one go. */
		do {
			table[index_of(va, leaf)] = pa | attrs | (leaf ? PTE_PS : 0);
			va += step;
			pa += step;
			len -= step;
		} while (len >= step && index_of(va, leaf) != 0 &&
			 leaf == leaf_level(va, pa, len, max_shift));
	}
	return 0;
}

bool pt_walk(hpa_t root, uint64_t va, uint64_t *pte, unsigned int *shift)
{
	uint64_t *table = hpa_to_va(root);

	for (unsigned int level = TOP_LEVEL;; level--) {
		uint64_t e = __atomic_load_n(&table[index_of(va, level)], __ATOMIC_ACQUIRE);

		if (!(e & PTE_P))
			return false;
		if (level == 0 || (e & PTE_PS)) {
			*pte = e;
			*shift = level_shift(level);
			return true;
		}
		table = table_of(e);
	}
}

void pt_unmap(hpa_t root, uint64_t va, uint64_t len)
{
	for (; len; va += PAGE_SIZE, len -= PAGE_SIZE) {
		uint64_t *table = hpa_to_va(root);
		unsigned int level = TOP_LEVEL;

		while (level > 0 && (table[index_of(va, level)] & PTE_P)) {
			ASSERT(!(table[index_of(va, level)] & PTE_PS));
			table = table_of(table[index_of(va, level)]);
			level--;
		}
		if (level == 0)
			table[index_of(va, 0)] = 0;
	}
}

int pt_prepare(hpa_t root, uint64_t va, uint64_t len)
{
	uint64_t end = va + len;

	for (va = ALIGN_DOWN(va, SIZE_2M); va < end; va += SIZE_2M) {
		uint64_t *table = hpa_to_va(root);

		for (unsigned int level = TOP_LEVEL; level > 0; level--) {
			table = table_get(&table[index_of(va, level)]);
			if (!table)
				return -RAY_ENOMEM;
		}
	}
	return 0;
}

bool pt_for_each(hpa_t root,
		 bool (*fn)(void *arg, uint64_t va, uint64_t pte, unsigned int shift), void *arg)
{
	uint64_t va = 0;

	do {
		uint64_t *table = hpa_to_va(root);
		unsigned int level = TOP_LEVEL;
		uint64_t e = table[index_of(va, level)];

		while (level > 0 && (e & PTE_P) && !(e & PTE_PS)) {
			level--;
			table = table_of(e);
			e = table[index_of(va, level)];
		}
		if ((e & PTE_P) && !fn(arg, va, e, level_shift(level)))
			return false;
		va += 1ull << level_shift(level);
		/* Bit 47 repeats upwards in a canonical address. */
		if (va == 1ull << 47)
			va = ~((1ull << 47) - 1);
	} while (va != 0);
	return true;
}
