/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic on numbers nobody vouches for: the result, or the news that it would wrap.
 * Pure; any context.
 */
#ifndef RAYOS_KERNEL_LIB_CHECKED_H
#define RAYOS_KERNEL_LIB_CHECKED_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

/**
 * a + b, a - b, a * b, and a rounded up to a power of two.
 * @out  written only on success
 * Returns: 0, -RAY_ERANGE (would wrap)
 * Trust:   both operands may be hostile
 */
__must_check static inline int checked_add(uint64_t a, uint64_t b, uint64_t *out)
{
	uint64_t r;

	if (__builtin_add_overflow(a, b, &r))
		return -RAY_ERANGE;
	*out = r;
	return 0;
}

__must_check static inline int checked_sub(uint64_t a, uint64_t b, uint64_t *out)
{
	if (b > a)
		return -RAY_ERANGE;
	*out = a - b;
	return 0;
}

__must_check static inline int checked_mul(uint64_t a, uint64_t b, uint64_t *out)
{
	uint64_t r;

	if (__builtin_mul_overflow(a, b, &r))
		return -RAY_ERANGE;
	*out = r;
	return 0;
}

__must_check static inline int checked_align_up(uint64_t a, uint64_t align, uint64_t *out)
{
	uint64_t r;

	if (__builtin_add_overflow(a, align - 1, &r))
		return -RAY_ERANGE;
	*out = r & ~(align - 1);
	return 0;
}

/**
 * Is [@start, @start + @len) inside [@base, @base + @size)? Never wraps; an empty range is
 * inside when its start is (or is the end).
 * Trust: all four may be hostile
 */
static inline bool range_inside(uint64_t start, uint64_t len, uint64_t base, uint64_t size)
{
	return start >= base && start - base <= size && len <= size - (start - base);
}

/** Do two ranges share a byte? Empty ranges share none. Ends may lie at 2^64. */
static inline bool range_overlaps(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	if (alen == 0 || blen == 0)
		return false;
	return a >= b ? a - b < blen : b - a < alen;
}

#endif
