/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builder of the 4-level page tables the kernel starts on.
 *
 * Owns: the tables under one root. Must not know: EFI, boot_info. Builds on the host for
 * tests: a page's physical address must be usable as a pointer while building.
 * Context: one CPU; no locking.
 */
#ifndef RAYOS_BOOT_PAGING_H
#define RAYOS_BOOT_PAGING_H

#include "kernel/lib/types.h"

/* Intel SDM vol. 3A, 4.5, tables 4-15 to 4-20. */
#define PAGING_P  (1ull << 0)
#define PAGING_W  (1ull << 1)
#define PAGING_A  (1ull << 5)
#define PAGING_D  (1ull << 6)
#define PAGING_PS (1ull << 7)
#define PAGING_NX (1ull << 63)

struct paging {
	uint64_t root;     /* physical address of the PML4, for CR3 */
	uint64_t page_max; /* largest page the CPU has: SIZE_2M or SIZE_1G */
	/* A zeroed page; 0 or -RAY_E*. */
	int (*page_alloc)(uint64_t *addr);
};

/** Start an empty address space. Returns: 0 or what page_alloc returned. */
int __must_check paging_init(struct paging *p, uint64_t page_max,
			     int (*page_alloc)(uint64_t *addr));

/**
 * Map a range with the largest pages that fit.
 * @virt, @phys, @len  page aligned; virt canonical, no wrap
 * @flags     PAGING_W and PAGING_NX
 * @page_max  upper bound for this range: PAGE_SIZE, SIZE_2M or SIZE_1G
 * Returns: 0, -RAY_EEXIST (mapped to something else already; mapping the same again is
 *          fine), -RAY_EINVAL (alignment), or what page_alloc returned
 */
int __must_check paging_map(struct paging *p, uint64_t virt, uint64_t phys, uint64_t len,
			    uint64_t flags, uint64_t page_max);

#endif
