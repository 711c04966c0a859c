/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four-level page tables of the host (SDM vol. 3 sec. 4.5): build, change, read.
 * Owns: the entry format. Must not know: what is mapped where (kspace.c, vmap.c do).
 * Locking: the caller's. Tables are reached through the direct map.
 */
#ifndef RAYOS_KERNEL_MM_PAGETABLE_H
#define RAYOS_KERNEL_MM_PAGETABLE_H

#include "kernel/lib/types.h"

#define PTE_P    (1ull << 0)
#define PTE_W    (1ull << 1)
#define PTE_U    (1ull << 2)
#define PTE_PWT  (1ull << 3)
#define PTE_PCD  (1ull << 4)
#define PTE_A    (1ull << 5)
#define PTE_D    (1ull << 6)
#define PTE_PS   (1ull << 7) /* large page; in a 4 KiB entry this bit is PAT */
#define PTE_PAT4K (1ull << 7)
#define PTE_G    (1ull << 8)
#define PTE_NX   (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull

/* What the kernel maps: accessed and dirty are set at once, so that no access writes them. */
#define PTE_KERNEL_RX (PTE_P | PTE_A | PTE_G)
#define PTE_KERNEL_R  (PTE_P | PTE_A | PTE_G | PTE_NX)
#define PTE_KERNEL_RW (PTE_P | PTE_W | PTE_A | PTE_D | PTE_G | PTE_NX)

#define PT_LEVELS  4u
#define PT_ENTRIES 512u

/**
 * Map [va, va + len) to [pa, pa + len); page multiples, nothing mapped there yet.
 * @attrs      PTE_* of the leaves, cacheability bits only with 4 KiB pages
 * @max_shift  largest page: 12, 21 or 30
 * Returns: 0, -RAY_ENOMEM (what was mapped so far stays: undo with pt_unmap())
 */
int __must_check pt_map(hpa_t root, uint64_t va, uint64_t pa, uint64_t len, uint64_t attrs,
			unsigned int max_shift);

/** Remove 4 KiB mappings; holes are fine. Tables stay. The caller flushes TLBs. */
void pt_unmap(hpa_t root, uint64_t va, uint64_t len);

/** Make sure every table that 4 KiB pages in [va, va + len) need exists. 0 or -RAY_ENOMEM. */
int __must_check pt_prepare(hpa_t root, uint64_t va, uint64_t len);

/**
 * Look up an address.
 * @pte    leaf entry, @shift its page size as a power of two; written when true is returned
 * Context: any, NMI included, for tables that are never freed. Returns: whether it is mapped.
 */
bool pt_walk(hpa_t root, uint64_t va, uint64_t *pte, unsigned int *shift);

/**
 * Call fn for every leaf in rising order until it returns false.
 * Returns: whether all calls returned true.
 */
bool pt_for_each(hpa_t root,
		 bool (*fn)(void *arg, uint64_t va, uint64_t pte, unsigned int shift), void *arg);

#endif
