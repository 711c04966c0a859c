/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel heap: size classes over pages, with accounting by tag so that a leak has a name.
 * Locking: own spinlocks, IRQ-safe. Context: any but NMI; never sleeps.
 */
#ifndef RAYOS_KERNEL_MM_HEAP_H
#define RAYOS_KERNEL_MM_HEAP_H

#include "kernel/lib/types.h"

enum mem_tag {
	MEM_KERNEL,
	MEM_THREAD,
	MEM_IRQ,
	MEM_PCI,
	MEM_ACPI,
	MEM_SHELL,
	MEM_VM,
	MEM_VDEV,
	MEM_DRIVER,
	MEM_DMA,
	MEM_BLOCK,
	MEM_STORE,
	MEM_NET,
	MEM_SECURITY,
	MEM_TPM,
	MEM_TEST,
	MEM_TAG_COUNT
};

/** Context: once, before any other call. */
void heap_init(void);

/** At least 16-byte aligned; more than 2 KiB is page aligned. NULL when memory is short. */
void *kmalloc(size_t bytes, enum mem_tag tag) __must_check;
/** kmalloc, zeroed. */
void *kzalloc(size_t bytes, enum mem_tag tag) __must_check;
/** kzalloc of n * size, NULL too when the product wraps. */
void *kcalloc(size_t n, size_t size, enum mem_tag tag) __must_check;
/** @p may be NULL. A pointer that is not a live allocation panics. */
void kfree(void *p);

struct heap_tag_stats {
	const char *name;
	uint64_t bytes;   /* live, as asked for */
	uint64_t allocs;  /* live objects */
	uint64_t total;   /* allocations since boot */
};
void heap_stats_get(enum mem_tag tag, struct heap_tag_stats *out);
/** Pages (bytes) the heap holds from the page allocator. */
uint64_t heap_footprint(void);

#endif
