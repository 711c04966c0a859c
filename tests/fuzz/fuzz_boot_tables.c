/* UNIT: boot/madt.c boot/tcglog.c boot/memmap.c */
/* PARSER: boot/madt.c boot/tcglog.c boot/memmap.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * What the loader reads from firmware memory. The first byte chooses: 'm' a MADT, 't' a TCG
 * event log, 'r' a memory map of 17-byte statements (base, length, type). The rest is the
 * input, and each result is held to what its header promises.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "boot/madt.h"
#include "boot/memmap.h"
#include "boot/tcglog.h"

#define CPUS    8u
#define REGIONS 32u
#define REGION  17u

static void require(int ok)
{
	if (!ok)
		abort();
}

static void madt(const uint8_t *data, size_t size)
{
	struct boot_cpu cpus[CPUS];
	uint32_t n = madt_cpus(data, (uint32_t)size, 1, cpus, CPUS);

	require(n <= CPUS);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < i; k++)
			require(cpus[i].apic_id != cpus[k].apic_id);
}

static void tcg_log(const uint8_t *data, size_t size)
{
	struct tcglog_algs algs;
	uint64_t off = tcglog_entry_size(data, size), n = off;

	require(off <= size);
	if (tcglog_algs_read(data, size, &algs) != 0)
		return;
	require(off > 0 && algs.count > 0 && algs.count <= TCGLOG_ALG_MAX);
	for (; n > 0; off += n) {
		n = tcglog_entry2_size(&algs, data + off, size - off);
		require(n <= size - off);
	}
}

static void memory_map(const uint8_t *data, size_t size)
{
	struct boot_mem in[REGIONS], out[MEMMAP_ROOM(REGIONS)];
	uint64_t edges[MEMMAP_ROOM(REGIONS)];
	uint32_t n = 0, own, made;

	for (; n < REGIONS && size >= REGION; size -= REGION, data += REGION, n++) {
		in[n] = (struct boot_mem){0};
		memcpy(&in[n].base, data, 8);
		memcpy(&in[n].len, data + 8, 8);
		in[n].type = 1 + data[16] % BOOT_MEM_BAD;
	}
	own = n / 4;
	made = memmap_build(in, n - own, in + (n - own), own, edges, out);
	require(made <= MEMMAP_ROOM(n));
	for (uint32_t i = 0; i < made; i++) {
		require(out[i].len > 0 && IS_ALIGNED(out[i].base | out[i].len, PAGE_SIZE));
		require(out[i].base + out[i].len <= 1ull << 52);
		require(i == 0 || out[i].base >= out[i - 1].base + out[i - 1].len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0]) {
	case 'm':
		madt(data + 1, size - 1);
		break;
	case 't':
		tcg_log(data + 1, size - 1);
		break;
	case 'r':
		memory_map(data + 1, size - 1);
		break;
	default:
		break;
	}
	return 0;
}
