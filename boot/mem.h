/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory the loader takes from the firmware and what each piece is for.
 *
 * Owns: the table of own allocations; the memory map handed to the kernel names them.
 * Context: boot services, BSP. Firmware maps memory one to one, so mem_ptr() works until
 * the hand-over.
 */
#ifndef RAYOS_BOOT_MEM_H
#define RAYOS_BOOT_MEM_H

#include "boot/boot_info.h"
#include "kernel/lib/types.h"

#define MEM_OWN_MAX 512u /* allocations at a time */

#define MEM_ANYWHERE UINT64_MAX
#define MEM_BELOW_1M (MIB(1) - 1)
#define MEM_BELOW_4G (GIB(4) - 1)

static inline void *mem_ptr(uint64_t hpa)
{
	return (void *)(uintptr_t)hpa;
}

/**
 * Allocate pages.
 * @type    what the kernel is told about them
 * @size    bytes, rounded up to pages; 0 counts as one page
 * @align   power of two, at least PAGE_SIZE
 * @limit   highest allowed byte address, MEM_*
 * @addr    result; contents undefined
 * Returns: 0, -RAY_ENOMEM, -RAY_ENOSPC (table full)
 */
int __must_check mem_alloc(enum boot_mem_type type, uint64_t size, uint64_t align, uint64_t limit,
			   uint64_t *addr);

/** One page that may be executed even where firmware protects data; type BOOT_MEM_LOADER. */
int __must_check mem_alloc_code_page(uint64_t *addr);

/** As mem_alloc() for zeroed BOOT_MEM_LOADER pages, below 4 GiB when there is room. */
int __must_check mem_alloc_zeroed(uint64_t size, uint64_t *addr);

/** Give one allocation back; all of them. */
void mem_free(uint64_t addr);
void mem_free_all(void);

/** The table of own allocations, unsorted. */
const struct boot_mem *mem_owned(uint32_t *count);

#endif
