/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page allocator's calls for the rest of kernel/mm.
 * What an allocated page is used for can be noted in 7 bits with page_mark_set(); the heap
 * tells its pages from everybody else's that way.
 */
#ifndef RAYOS_KERNEL_MM_PAGE_PRIV_H
#define RAYOS_KERNEL_MM_PAGE_PRIV_H

#include "kernel/mm/memmap.h"
#include "kernel/mm/page.h"

#define PAGE_MARK_NONE 0u
#define PAGE_MARK_MAX  0x7fu

/**
 * Take over all memory of type BOOT_MEM_RAM in @m. The allocator's own tables come out of it.
 * Context: once, boot processor; the direct map covers all RAM.
 * Returns: 0, -RAY_ENOMEM (no range holds the tables)
 */
int __must_check page_init(const struct memmap *m);

/** The direct map is at @direct_base from now on. Context: once, after page_init(). */
void page_rebase(uint64_t direct_base);

/** Hand over memory the allocator knows but did not own: [base, base + len), page multiples. */
void page_donate(uint64_t base, uint64_t len);

/** Note or read the use of allocated pages; reading a page that is free or no RAM gives -1. */
void page_mark_set(hpa_t page, size_t count, unsigned int mark);
int page_mark_get(hpa_t page);

/** A number kept with the first page of an allocated block, by its owner. */
void page_note_set(hpa_t page, uint64_t note);
uint64_t page_note_get(hpa_t page);

#endif
