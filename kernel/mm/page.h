/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Physical pages: a buddy allocator from 4 KiB to 1 GiB over the firmware's RAM.
 * Owns: every page of RAM after mm_init(). Must not know: what pages are used for.
 * Locking: own spinlock, IRQ-safe. Context: any but NMI.
 */
#ifndef RAYOS_KERNEL_MM_PAGE_H
#define RAYOS_KERNEL_MM_PAGE_H

#include "kernel/lib/types.h"

#define PAGE_ORDER_4K  0u
#define PAGE_ORDER_2M  9u
#define PAGE_ORDER_1G  18u
#define PAGE_ORDER_MAX PAGE_ORDER_1G

#define PAGE_F_ZERO  (1u << 0) /* contents are zero */
#define PAGE_F_LOW   (1u << 1) /* below 4 GiB */

/**
 * Allocate 2^order pages, naturally aligned, physically contiguous.
 * @flags  PAGE_F_*; pages freed by page_free_dirty() are scrubbed before anyone gets them,
 *         with or without PAGE_F_ZERO.
 * Returns: 0 or -RAY_ENOMEM; *out untouched on failure.
 */
int __must_check page_alloc(unsigned int order, unsigned int flags, hpa_t *out);

/** Give back what page_alloc(order) gave. A wrong address or order panics. */
void page_free(hpa_t page, unsigned int order);

/** The same for pages that held a guest's data: zeroed before anybody can get them again. */
void page_free_dirty(hpa_t page, unsigned int order);

/**
 * Turn an allocated block of 2^order pages into allocated blocks of 2^to pages each, to be
 * freed one by one.
 * @to  < order
 */
void page_split(hpa_t page, unsigned int order, unsigned int to);

/**
 * Zero a little of what waits to be scrubbed: at most 512 bytes with IRQs off.
 * First pages freed dirty, then other free pages while fewer than page_prezero_target() bytes
 * are known to be zero, so that a later PAGE_F_ZERO costs nothing.
 * Context: any but NMI; meant for the idle loop. Returns: whether there is more to do here
 * (false also while another CPU is at it).
 */
bool page_scrub_step(void);
/** Bytes of free memory the idle loop keeps zeroed ahead of need. */
void page_prezero_target_set(uint64_t bytes);

extern uint64_t mm_direct_base; /* virtual address of physical 0; kernel/mm/ writes it */

/** Address in the direct map. Valid for all RAM, whoever owns it. */
static inline void *hpa_to_va(hpa_t hpa)
{
	return (void *)(uintptr_t)(mm_direct_base + hpa.v);
}
/** The inverse; also accepts addresses inside the kernel image. Panics on others. */
hpa_t va_to_hpa(const void *va);
/** The inverse for what hpa_to_va() gave, unchecked: for hot paths. */
static inline hpa_t direct_to_hpa(const void *va)
{
	return HPA((uint64_t)(uintptr_t)va - mm_direct_base);
}

struct page_stats {
	uint64_t total;    /* bytes of RAM under the allocator's care */
	uint64_t free;     /* bytes allocatable now, dirty ones included */
	uint64_t dirty;    /* bytes of the free ones waiting for the scrubber */
	uint64_t zeroed;   /* bytes of the free ones known to be zero */
	uint64_t reserved; /* bytes of RAM taken before the allocator: image, modules, page array */
};
void page_stats_get(struct page_stats *out);

#endif
