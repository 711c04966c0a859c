/* UNIT: boot/memmap.c */
// SPDX-License-Identifier: Apache-2.0
/* boot/memmap.c: ordering, merging, precedence, and random maps against a per-page model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "boot/memmap.h"

#define ENTRIES 64u

static struct boot_mem out[MEMMAP_ROOM(ENTRIES)];
static uint64_t edges[MEMMAP_ROOM(ENTRIES)];

static uint32_t build(const struct boot_mem *in, uint32_t n, const struct boot_mem *own,
		      uint32_t own_n)
{
	return memmap_build(in, n, own, own_n, edges, out);
}

static void expect(uint32_t i, uint64_t base, uint64_t end, uint32_t type)
{
	assert_int_equal(out[i].base, base);
	assert_int_equal(out[i].base + out[i].len, end);
	assert_int_equal(out[i].type, type);
	assert_int_equal(out[i].pad, 0);
}

static void test_empty(void **state)
{
	const struct boot_mem none[] = {{0x1000, 0, BOOT_MEM_RAM, 0}};

	(void)state;
	assert_int_equal(build(none, 0, none, 0), 0);
	assert_int_equal(build(none, 1, none, 0), 0);
}

static void test_sorts_and_merges(void **state)
{
	const struct boot_mem in[] = {
		{0x5000, 0x1000, BOOT_MEM_RAM, 0},
		{0x1000, 0x1000, BOOT_MEM_RAM, 0},
		{0x4000, 0x1000, BOOT_MEM_ACPI, 0},
		{0x2000, 0x2000, BOOT_MEM_RAM, 0},
	};

	(void)state;
	assert_int_equal(build(in, 4, NULL, 0), 3);
	expect(0, 0x1000, 0x4000, BOOT_MEM_RAM);
	expect(1, 0x4000, 0x5000, BOOT_MEM_ACPI);
	expect(2, 0x5000, 0x6000, BOOT_MEM_RAM);
}

static void test_own_splits_ram(void **state)
{
	const struct boot_mem in[] = {{0, 0x10000, BOOT_MEM_RAM, 0}};
	const struct boot_mem own[] = {
		{0x8000, 0x1000, BOOT_MEM_MODULE, 0},
		{0x4000, 0x2000, BOOT_MEM_KERNEL, 0},
	};

	(void)state;
	assert_int_equal(build(in, 1, own, 2), 5);
	expect(0, 0, 0x4000, BOOT_MEM_RAM);
	expect(1, 0x4000, 0x6000, BOOT_MEM_KERNEL);
	expect(2, 0x6000, 0x8000, BOOT_MEM_RAM);
	expect(3, 0x8000, 0x9000, BOOT_MEM_MODULE);
	expect(4, 0x9000, 0x10000, BOOT_MEM_RAM);
}

static void test_restrictive_type_wins(void **state)
{
	static const uint32_t order[] = {
		BOOT_MEM_RAM, BOOT_MEM_ACPI, BOOT_MEM_ACPI_NVS, BOOT_MEM_EFI_RT,
		BOOT_MEM_RESERVED, BOOT_MEM_MMIO, BOOT_MEM_BAD,
	};

	(void)state;
	for (size_t i = 0; i + 1 < ARRAY_SIZE(order); i++) {
		struct boot_mem in[] = {
			{0x1000, 0x3000, order[i + 1], 0},
			{0x1000, 0x3000, order[i], 0},
		};

		assert_int_equal(build(in, 2, NULL, 0), 1);
		assert_int_equal(out[0].type, order[i + 1]);
	}
}

static void test_partial_pages(void **state)
{
	const struct boot_mem in[] = {
		{0x1800, 0x2000, BOOT_MEM_RAM, 0}, /* whole pages inside: 0x2000 to 0x3000 */
		{0x5800, 0x100, BOOT_MEM_RESERVED, 0},
		{0x7800, 0x100, BOOT_MEM_RAM, 0},
	};

	(void)state;
	assert_int_equal(build(in, 3, NULL, 0), 2);
	expect(0, 0x2000, 0x3000, BOOT_MEM_RAM);
	expect(1, 0x5000, 0x6000, BOOT_MEM_RESERVED);
}

static void test_absurd_addresses(void **state)
{
	const struct boot_mem in[] = {
		{UINT64_MAX - 0xfff, UINT64_MAX, BOOT_MEM_RAM, 0},
		{1ull << 52, 0x1000, BOOT_MEM_RAM, 0},
		{1ull << 53, 0x1000, BOOT_MEM_RAM, 0},
		{(1ull << 52) - 0x1000, UINT64_MAX, BOOT_MEM_RESERVED, 0},
	};

	(void)state;
	assert_int_equal(build(in, 4, NULL, 0), 1);
	expect(0, (1ull << 52) - 0x1000, 1ull << 52, BOOT_MEM_RESERVED);
}

#define PAGES 96u

static uint32_t rank(uint32_t type)
{
	return type == BOOT_MEM_RAM ? 0 : type;
}

static void random_check(unsigned int seed)
{
	struct boot_mem in[24];
	uint32_t want[PAGES] = {0}, got[PAGES] = {0};
	uint32_t n;

	srand(seed);
	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		uint64_t base = (uint64_t)(rand() % 80), len = (uint64_t)(rand() % 16);

		in[i] = (struct boot_mem){base << 12, len << 12,
					  i < 20 ? BOOT_MEM_RAM + 4 * (uint32_t)(rand() % 2)
						 : BOOT_MEM_LOADER + (uint32_t)(rand() % 3), 0};
		for (uint64_t p = base; p < base + len; p++)
			if (rank(in[i].type) >= rank(want[p]) || want[p] == 0)
				want[p] = in[i].type;
	}
	/* Own allocations never overlap in truth; let the model say so too. */
	for (size_t p = 0; p < PAGES; p++)
		for (size_t i = 24; i-- > 20;)
			if (p << 12 >= in[i].base && p << 12 < in[i].base + in[i].len)
				want[p] = 100 + in[i].type;
	n = build(in, 20, in + 20, 4);
	for (uint32_t i = 0; i < n; i++) {
		assert_true(out[i].len > 0);
		if (i > 0)
			assert_true(out[i].base >= out[i - 1].base + out[i - 1].len);
		if (i > 0 && out[i].base == out[i - 1].base + out[i - 1].len)
			assert_int_not_equal(out[i].type, out[i - 1].type);
		for (uint64_t p = out[i].base >> 12; p < (out[i].base + out[i].len) >> 12; p++)
			got[p] = out[i].type;
	}
	for (size_t p = 0; p < PAGES; p++) {
		if (want[p] < 100)
			assert_int_equal(got[p], want[p]);
		else
			assert_in_range(got[p], BOOT_MEM_LOADER, BOOT_MEM_MODULE);
	}
}

static void test_random_maps(void **state)
{
	(void)state;
	for (unsigned int seed = 0; seed < 2000; seed++)
		random_check(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_sorts_and_merges),
		cmocka_unit_test(test_own_splits_ram),
		cmocka_unit_test(test_restrictive_type_wins),
		cmocka_unit_test(test_partial_pages),
		cmocka_unit_test(test_absurd_addresses),
		cmocka_unit_test(test_random_maps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
