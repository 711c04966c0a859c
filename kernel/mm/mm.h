/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing memory up, in order: map, pages, address space, heap, then what the loader left.
 */
#ifndef RAYOS_KERNEL_MM_MM_H
#define RAYOS_KERNEL_MM_MM_H

#include "kernel/mm/memmap.h"

/** Everything up to a working kmalloc(); panics when it cannot. Context: once, BSP. */
void mm_init(void);

/** Free the loader's memory, after everything in it has been copied. Context: once, BSP. */
void mm_reclaim_loader(void);

/** The map the kernel works with. Context: any, after mm_init(). */
const struct memmap *mm_map(void);

#endif
