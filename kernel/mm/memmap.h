/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The physical memory map, made orderly. Firmware hands out maps that are unsorted, overlap,
 * wrap, or have thousands of entries; what leaves here is sorted, page aligned, without
 * overlaps, and errs towards less RAM: of two claims to a page the more restrictive wins, and
 * a page nobody claims is not RAM.
 * Pure: no hardware, no allocation, no state.
 */
#ifndef RAYOS_KERNEL_MM_MEMMAP_H
#define RAYOS_KERNEL_MM_MEMMAP_H

#include "boot/boot_info.h"
#include "kernel/lib/types.h"

#define MEMMAP_MAX 256u
/* Page numbers fit 32 bits, with room for a count. */
#define MEMMAP_PHYS_LIMIT (1ull << 43)

struct mem_range {
	uint64_t base, len; /* bytes, page multiples, len > 0 */
	uint32_t type;      /* enum boot_mem_type */
};

struct memmap {
	struct mem_range r[MEMMAP_MAX]; /* rising, neighbours of one type merged */
	uint32_t count;
	uint32_t senseless; /* input entries ignored: empty, wrapping, beyond the limit */
	uint64_t dropped;   /* bytes of usable memory given up for want of room in r[] */
};

/**
 * Fill @m from @n raw entries. Context: any.
 * Trust: @in is the firmware's; any content gives a valid map
 */
void memmap_build(struct memmap *m, const struct boot_mem *in, size_t n);

/** Take [base, base + len) out of whatever holds it and make it @type. */
void memmap_set(struct memmap *m, uint64_t base, uint64_t len, uint32_t type);

/** Whether memory of this type becomes RAM, now or once what it holds is done with. */
bool memmap_type_is_ram(uint32_t type);

/** Whether all of [base, base + len) is RAM in that sense. len > 0; may wrap (false). */
bool memmap_is_ram(const struct memmap *m, uint64_t base, uint64_t len);

const char *memmap_type_name(uint32_t type);

#endif
