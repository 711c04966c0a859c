/* UNIT: kernel/mm/memmap.c */
/* PARSER: kernel/mm/memmap.c */
// SPDX-License-Identifier: Apache-2.0
/* The memory-map normaliser over arbitrary entries, 6 bytes each, spread so that bases and
 * lengths collide often. What comes out must be sorted, aligned and free of overlaps. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/mm/memmap.h"

#define ENTRIES_MAX 700u
#define ENTRY_BYTES 6u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct boot_mem in[ENTRIES_MAX];
	static struct memmap m;
	size_t n = MIN(size / ENTRY_BYTES, ENTRIES_MAX);

	for (size_t i = 0; i < n; i++, data += ENTRY_BYTES) {
		/* A byte of mantissa, a byte of shift: every magnitude, with low bits set. */
		in[i].base = ((uint64_t)data[0] << (data[1] % 64)) + (data[1] >> 6);
		in[i].len = ((uint64_t)data[2] << (data[3] % 64)) - (data[3] >> 7);
		in[i].type = data[4] % 12;
		in[i].pad = data[5];
	}
	memmap_build(&m, in, n);
	if (m.count > MEMMAP_MAX)
		abort();
	for (uint32_t i = 0; i < m.count; i++) {
		uint64_t end = m.r[i].base + m.r[i].len;

		if (m.r[i].len == 0 || end > MEMMAP_PHYS_LIMIT ||
		    !IS_ALIGNED(m.r[i].base | m.r[i].len, PAGE_SIZE) ||
		    (i + 1 < m.count && end > m.r[i + 1].base))
			abort();
		if (memmap_is_ram(&m, m.r[i].base, m.r[i].len) !=
			    memmap_type_is_ram(m.r[i].type) ||
		    strcmp(memmap_type_name(m.r[i].type), "unknown") == 0)
			abort();
	}
	return 0;
}
