// SPDX-License-Identifier: Apache-2.0
/* Owns: searches and ranges over bit arrays. No state; any context. */
#include "kernel/lib/bitmap.h"

/* Mask of a range in its first word, and how many of its bits that word holds. */
static inline uint64_t range_mask(size_t first, size_t count, size_t *taken)
{
	size_t low = first % 64, n = MIN(count, 64 - low);

	*taken = n;
	return (n == 64 ? ~0ull : (1ull << n) - 1) << low;
}

void bitmap_set_range(uint64_t *map, size_t first, size_t count)
{
	size_t n;

	for (; count > 0; first += n, count -= n)
		map[first / 64] |= range_mask(first, count, &n);
}

void bitmap_clear_range(uint64_t *map, size_t first, size_t count)
{
	size_t n;

	for (; count > 0; first += n, count -= n)
		map[first / 64] &= ~range_mask(first, count, &n);
}

/* @invert is all ones to look for clear bits. */
static size_t next_bit(const uint64_t *map, size_t bits, size_t from, uint64_t invert)
{
	while (from < bits) {
		uint64_t word = (map[from / 64] ^ invert) >> (from % 64);

		if (word) {
			size_t at = from + (size_t)__builtin_ctzll(word);

			return MIN(at, bits);
		}
		from = (from / 64 + 1) * 64;
	}
	return bits;
}

size_t bitmap_next_set(const uint64_t *map, size_t bits, size_t from)
{
	return next_bit(map, bits, from, 0);
}

size_t bitmap_next_clear(const uint64_t *map, size_t bits, size_t from)
{
	return next_bit(map, bits, from, ~0ull);
}

size_t bitmap_find_clear(const uint64_t *map, size_t bits, size_t count, size_t align)
{
	size_t at = 0;

	for (;;) {
		size_t used;

		at = bitmap_next_clear(map, bits, at);
		at = (at + align - 1) / align * align;
		if (at >= bits || count > bits - at)
			return bits;
		used = bitmap_next_set(map, at + count, at);
		if (used == at + count)
			return at;
		at = used + 1;
	}
}

size_t bitmap_weight(const uint64_t *map, size_t bits)
{
	size_t n = 0;

	for (size_t i = 0; i < bits / 64; i++)
		n += (size_t)__builtin_popcountll(map[i]);
	if (bits % 64)
		n += (size_t)__builtin_popcountll(map[bits / 64] & ((1ull << (bits % 64)) - 1));
	return n;
}
