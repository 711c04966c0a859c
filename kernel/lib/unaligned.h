/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers at any address: one instruction each, where memcpy() would be a call. Plain ones are
 * in the CPU's order (little-endian), be ones in network order. Pure; any context.
 */
#ifndef RAYOS_KERNEL_LIB_UNALIGNED_H
#define RAYOS_KERNEL_LIB_UNALIGNED_H

#include "kernel/lib/types.h"

static inline uint16_t load16(const void *p)
{
	uint16_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load32(const void *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load64(const void *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store16(void *p, uint16_t v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline void store32(void *p, uint32_t v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline void store64(void *p, uint64_t v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline uint16_t load_be16(const void *p)
{
	return __builtin_bswap16(load16(p));
}

static inline uint32_t load_be32(const void *p)
{
	return __builtin_bswap32(load32(p));
}

static inline uint64_t load_be64(const void *p)
{
	return __builtin_bswap64(load64(p));
}

static inline void store_be16(void *p, uint16_t v)
{
	store16(p, __builtin_bswap16(v));
}

static inline void store_be32(void *p, uint32_t v)
{
	store32(p, __builtin_bswap32(v));
}

static inline void store_be64(void *p, uint64_t v)
{
	store64(p, __builtin_bswap64(v));
}

#endif
