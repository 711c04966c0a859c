/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading numbers and words from configuration and the command line. The whole string must
 * be the value: no leading space, no sign, nothing behind it. Pure; any context.
 */
#ifndef RAYOS_KERNEL_LIB_PARSE_H
#define RAYOS_KERNEL_LIB_PARSE_H

#include "kernel/lib/sink.h"
#include "kernel/lib/types.h"

/**
 * Decimal, or hexadecimal after 0x.
 * @out    written only on success
 * Returns: 0, -RAY_EINVAL (not a number), -RAY_ERANGE (above 2^64 - 1)
 * Trust:  any string
 */
int __must_check parse_u64(const char *s, uint64_t *out);

/** The same, and @min <= value <= @max, else -RAY_ERANGE. */
int __must_check parse_u64_range(const char *s, uint64_t min, uint64_t max, uint64_t *out);

/**
 * A number of bytes: as parse_u64(), with an optional K, M, G or T (either case; KB, KiB
 * and so on mean the same), always times 1024.
 */
int __must_check parse_size(const char *s, uint64_t *out);
int __must_check parse_size_range(const char *s, uint64_t min, uint64_t max, uint64_t *out);

#define PARSE_RATE_MAX 400000000000ull

/**
 * A network's rate in bits a second: decimal, with an optional K, M or G (either case), times
 * 1000; "unlimited" is 0. Above PARSE_RATE_MAX: -RAY_ERANGE.
 */
int __must_check parse_rate(const char *s, uint64_t *out);

/** yes, no, true, false, on, off, 1, 0; else -RAY_EINVAL. */
int __must_check parse_bool(const char *s, bool *out);

/**
 * Say in words why a number was refused: "memory: '12x' is not a number",
 * "cpus: 1000 is outside 1 to 8". No line end.
 * @err  what parse_*() returned
 */
void parse_explain(struct sink *out, int err, const char *what, const char *value, uint64_t min,
		   uint64_t max);
void parse_explain_size(struct sink *out, int err, const char *what, const char *value,
			uint64_t min, uint64_t max);

/** Print a number of bytes in the largest unit that divides it: "512M", "1536", "3G". */
void format_size(struct sink *out, uint64_t bytes);

#endif
