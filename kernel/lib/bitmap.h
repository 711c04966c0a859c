/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays of bits in 64-bit words. Pure: the caller's lock protects them; sizes are the caller's. */
#ifndef RAYOS_KERNEL_LIB_BITMAP_H
#define RAYOS_KERNEL_LIB_BITMAP_H

#include "kernel/lib/types.h"

#define BITMAP_WORDS(bits)     (((bits) + 63u) / 64u)
#define DECLARE_BITMAP(name, bits) uint64_t name[BITMAP_WORDS(bits)]

static inline bool bitmap_test(const uint64_t *map, size_t bit)
{
	return map[bit / 64] >> (bit % 64) & 1;
}

static inline void bitmap_set(uint64_t *map, size_t bit)
{
	map[bit / 64] |= 1ull << (bit % 64);
}

static inline void bitmap_clear(uint64_t *map, size_t bit)
{
	map[bit / 64] &= ~(1ull << (bit % 64));
}

void bitmap_set_range(uint64_t *map, size_t first, size_t count);
void bitmap_clear_range(uint64_t *map, size_t first, size_t count);

/** First set (or clear) bit at or after @from and below @bits; @bits when there is none. */
size_t bitmap_next_set(const uint64_t *map, size_t bits, size_t from);
size_t bitmap_next_clear(const uint64_t *map, size_t bits, size_t from);

/** Start of the first run of @count clear bits aligned to @align (> 0); @bits when none. */
size_t bitmap_find_clear(const uint64_t *map, size_t bits, size_t count, size_t align);

/** Number of set bits below @bits. */
size_t bitmap_weight(const uint64_t *map, size_t bits);

#endif
