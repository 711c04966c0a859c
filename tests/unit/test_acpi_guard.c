/* UNIT: kernel/acpi/guard.c kernel/mm/memmap.c */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kernel/acpi/guard.h"
#include "kernel/mm/mm.h"

static struct memmap map;

const struct memmap *mm_map(void)
{
	return &map;
}

static const struct boot_mem machine[] = {
	{.base = 0x1000, .len = 0x9f000, .type = BOOT_MEM_RAM},
	{.base = 0x100000, .len = 0x700000, .type = BOOT_MEM_RAM},
	{.base = 0x800000, .len = 0x10000, .type = BOOT_MEM_ACPI_NVS},
	{.base = 0x810000, .len = 0x100000, .type = BOOT_MEM_MODULE},
	{.base = 0x910000, .len = 0x100000, .type = BOOT_MEM_KERNEL},
	{.base = 0xa10000, .len = 0x100000, .type = BOOT_MEM_LOADER},
	{.base = 0x7f000000, .len = 0x10000, .type = BOOT_MEM_ACPI},
	{.base = 0xb0000000, .len = 0x10000000, .type = BOOT_MEM_RESERVED},
	{.base = 0x100000000, .len = 0x10000000, .type = BOOT_MEM_RAM},
};

static void check(uint64_t hpa, uint64_t len, bool allowed, enum vmap_cache cache)
{
	enum vmap_cache got = VMAP_WC;

	assert_int_equal(acpi_guard_allows(hpa, len, &got), allowed);
	if (allowed)
		assert_int_equal(got, cache);
}

static void test_ranges(void **state)
{
	(void)state;
	memmap_build(&map, machine, ARRAY_SIZE(machine));
	/* Firmware's own memory is cached, registers are not. */
	check(0x800000, 0x10000, true, VMAP_WB);
	check(0x7f00fff0, 16, true, VMAP_WB);
	check(0x7f00fff0, 17, true, VMAP_UC);
	check(0xfed00000, 8, true, VMAP_UC);
	check(0xb0000000, 0x1000, true, VMAP_UC);
	check(0, 0x1000, true, VMAP_UC);
	/* RAM in any use, by a single byte, from either side. */
	check(0x100000, 1, false, VMAP_UC);
	check(0x7fffff, 2, false, VMAP_UC);
	check(0x80ffff, 2, false, VMAP_UC);
	check(0x850000, 8, false, VMAP_UC);
	check(0x950000, 8, false, VMAP_UC);
	check(0xa50000, 8, false, VMAP_UC);
	check(0xfff, 2, false, VMAP_UC);
	check(0xffffffff, 2, false, VMAP_UC);
	check(0xfed00000, 1ull << 40, false, VMAP_UC);
	/* What is no range. */
	check(0xfed00000, 0, false, VMAP_UC);
	check(1ull << 52, 1, false, VMAP_UC);
	check(UINT64_MAX - 3, 8, false, VMAP_UC);
	check(0xfed00000, UINT64_MAX, false, VMAP_UC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
