/* UNIT: kernel/acpi/walk.c kernel/acpi/fadt.c kernel/acpi/s5.c */
/* PARSER: kernel/acpi/walk.c kernel/acpi/fadt.c kernel/acpi/s5.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * The ACPI table walk over a hostile physical memory: the input is memory from 0x1000 on, with
 * the RSDP first. The first byte's low bit makes checksums come out right, so that the fuzzer
 * need not find them.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/acpi/fadt.h"
#include "kernel/acpi/soft_off.h"
#include "kernel/acpi/walk.h"

#define BASE 0x1000u

static const uint8_t *ram;
static size_t ram_len;
static int fix_sums;

static void seal(uint8_t *p, size_t len, size_t at)
{
	p[at] = 0;
	p[at] = (uint8_t)(0 - acpi_checksum(p, len));
}

static const void *fuzz_map(void *ctx, uint64_t hpa, size_t len)
{
	uint8_t *p;

	(void)ctx;
	if (hpa < BASE || hpa - BASE > ram_len || len > ram_len - (hpa - BASE))
		return NULL;
	p = malloc(len ? len : 1);
	if (!p)
		abort();
	memcpy(p, ram + (hpa - BASE), len);
	if (!fix_sums)
		return p;
	if (len >= 20 && memcmp(p, "RSD PTR ", 8) == 0) {
		seal(p, 20, 8);
		if (len > 32)
			seal(p, len, 32);
	} else if (len >= ACPI_SDT_HDR_LEN) {
		seal(p, len, 9);
	}
	return p;
}

static void fuzz_unmap(void *ctx, const void *va, size_t len)
{
	(void)ctx;
	(void)len;
	free((void *)(uintptr_t)va);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct acpi_mem mem = {.map = fuzz_map, .unmap = fuzz_unmap};
	static struct acpi_table_list list;
	volatile uint8_t touch = 0;

	if (size < 1)
		return 0;
	fix_sums = data[0] & 1;
	ram = data + 1;
	ram_len = size - 1;
	if (acpi_walk(&mem, BASE, &list) != 0 && list.count != 0)
		abort();
	for (uint32_t i = 0; i < list.count; i++) {
		const uint8_t *p = list.t[i].data;
		struct acpi_fadt fadt;
		struct acpi_s5 s5;

		touch ^= p[list.t[i].len - 1];
		(void)!acpi_fadt_parse(p, list.t[i].len, &fadt);
		if (acpi_s5_scan(p, list.t[i].len, &s5) == 0 && (s5.type_a > 7 || s5.type_b > 7))
			abort();
		fuzz_unmap(NULL, p, list.t[i].len);
	}
	(void)touch;
	return 0;
}
