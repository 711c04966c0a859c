/* UNIT: kernel/mm/memmap.c */
// SPDX-License-Identifier: Apache-2.0
/* kernel/mm/memmap.c against a model that keeps one type per page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/mm/memmap.h"

#define MODEL_PAGES 512u
#define MODEL_BYTES (MODEL_PAGES * PAGE_SIZE)

static uint64_t seed;

static uint64_t rnd(uint64_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % n;
}

static int rank_of(uint32_t type)
{
	static const uint32_t order[] = { BOOT_MEM_RAM,	     BOOT_MEM_LOADER,	BOOT_MEM_MODULE,
					  BOOT_MEM_KERNEL,   BOOT_MEM_ACPI,	BOOT_MEM_ACPI_NVS,
					  BOOT_MEM_EFI_RT,   BOOT_MEM_MMIO,	BOOT_MEM_RESERVED,
					  BOOT_MEM_BAD };

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (order[i] == type)
			return (int)i;
	return 8; /* unknown: reserved */
}

static uint32_t known_type(uint32_t type)
{
	return type >= BOOT_MEM_RAM && type <= BOOT_MEM_BAD ? type : BOOT_MEM_RESERVED;
}

/* Type of page p: the most restrictive claim; RAM claims whole pages only. 0: unclaimed. */
static uint32_t model_type(const struct boot_mem *in, size_t n, uint64_t p)
{
	uint64_t first = p * PAGE_SIZE, last = first + PAGE_SIZE - 1;
	uint32_t best = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t end = in[i].base + in[i].len - 1;
		uint32_t type = known_type(in[i].type);
		bool wraps = end < in[i].base;

		if (in[i].len == 0 || in[i].base >= MEMMAP_PHYS_LIMIT)
			continue;
		if (type == BOOT_MEM_RAM) {
			/* base + len == 2^64 wraps to 0 and is not believed either */
			if (wraps || end == UINT64_MAX || in[i].base > first || end < last)
				continue;
		} else if (in[i].base > last || (!wraps && end < first)) {
			continue;
		}
		if (best == 0 || rank_of(type) > rank_of(best))
			best = type;
	}
	return best;
}

static uint32_t map_type(const struct memmap *m, uint64_t p)
{
	for (uint32_t i = 0; i < m->count; i++)
		if (p * PAGE_SIZE >= m->r[i].base && p * PAGE_SIZE < m->r[i].base + m->r[i].len)
			return m->r[i].type;
	return 0;
}

static void check_order(const struct memmap *m)
{
	assert_in_range(m->count, 0, MEMMAP_MAX);
	for (uint32_t i = 0; i < m->count; i++) {
		assert_true(m->r[i].len > 0);
		assert_true(IS_ALIGNED(m->r[i].base | m->r[i].len, PAGE_SIZE));
		assert_true(m->r[i].base + m->r[i].len <= MEMMAP_PHYS_LIMIT);
		if (i == 0)
			continue;
		assert_true(m->r[i - 1].base + m->r[i - 1].len <= m->r[i].base);
		if (m->r[i - 1].base + m->r[i - 1].len == m->r[i].base)
			assert_int_not_equal(m->r[i - 1].type, m->r[i].type);
	}
}

static struct boot_mem random_entry(void)
{
	struct boot_mem e = {
		.base = rnd(MODEL_BYTES),
		.len = rnd(MODEL_BYTES / 8),
		.type = (uint32_t)rnd(4) ? (uint32_t)rnd(12) : BOOT_MEM_RAM,
	};

	switch (rnd(12)) {
	case 0:
		e.len = UINT64_MAX - rnd(MODEL_BYTES); /* wraps, or nearly */
		break;
	case 1:
		e.base = UINT64_MAX - rnd(MODEL_BYTES);
		break;
	case 2:
		e.base = MEMMAP_PHYS_LIMIT - rnd(MODEL_BYTES);
		break;
	default:
		if (rnd(2)) {
			e.base = ALIGN_DOWN(e.base, PAGE_SIZE);
			e.len = ALIGN_UP(e.len, PAGE_SIZE);
		}
	}
	return e;
}

static void test_random_maps_match_the_model(void **state)
{
	static struct boot_mem in[40];
	static struct memmap m;

	(void)state;
	for (unsigned int round = 0; round < 3000; round++) {
		size_t n = rnd(ARRAY_SIZE(in));

		seed = round;
		for (size_t i = 0; i < n; i++)
			in[i] = random_entry();
		memmap_build(&m, in, n);
		check_order(&m);
		assert_int_equal(m.dropped, 0);
		for (uint64_t p = 0; p < MODEL_PAGES; p++)
			assert_int_equal(map_type(&m, p), model_type(in, n, p));
	}
}

static void test_too_many_entries_never_invent_ram(void **state)
{
	static struct boot_mem in[3000];
	static struct memmap m;

	(void)state;
	for (unsigned int round = 0; round < 20; round++) {
		uint64_t kept = 0, ram = 0;

		seed = round + 99;
		for (size_t i = 0; i < ARRAY_SIZE(in); i++)
			in[i] = (struct boot_mem){
				.base = rnd(MODEL_PAGES) * PAGE_SIZE,
				.len = PAGE_SIZE,
				.type = rnd(3) ? BOOT_MEM_RAM : (uint32_t)rnd(11),
			};
		memmap_build(&m, in, ARRAY_SIZE(in));
		check_order(&m);
		for (uint64_t p = 0; p < MODEL_PAGES; p++) {
			uint32_t model = model_type(in, ARRAY_SIZE(in), p);

			ram += memmap_type_is_ram(model);
			if (memmap_type_is_ram(map_type(&m, p))) {
				kept++;
				assert_int_equal(map_type(&m, p), model);
			}
		}
		assert_true(kept <= ram);
		assert_true(kept + m.dropped / PAGE_SIZE >= ram);
	}
}

static void test_large_ranges_survive_a_full_table(void **state)
{
	static struct boot_mem in[600];
	static struct memmap m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(in) - 1; i++)
		in[i] = (struct boot_mem){ .base = i * 2 * PAGE_SIZE, .len = PAGE_SIZE,
					   .type = BOOT_MEM_RAM };
	in[ARRAY_SIZE(in) - 1] = (struct boot_mem){ .base = GIB(4), .len = GIB(8),
						    .type = BOOT_MEM_RAM };
	memmap_build(&m, in, ARRAY_SIZE(in));
	check_order(&m);
	assert_int_equal(m.count, MEMMAP_MAX);
	assert_true(memmap_is_ram(&m, GIB(4), GIB(8)));
	assert_true(m.dropped > 0);
}

static void test_is_ram(void **state)
{
	static struct memmap m;
	const struct boot_mem in[] = {
		{ .base = 0, .len = MIB(1), .type = BOOT_MEM_RAM },
		{ .base = MIB(1), .len = MIB(1), .type = BOOT_MEM_MODULE },
		{ .base = MIB(3), .len = MIB(1), .type = BOOT_MEM_RAM },
		{ .base = MIB(4), .len = MIB(1), .type = BOOT_MEM_RESERVED },
	};

	(void)state;
	memmap_build(&m, in, ARRAY_SIZE(in));
	assert_true(memmap_is_ram(&m, 0, MIB(2)));
	assert_true(memmap_is_ram(&m, MIB(1) - 1, 2));
	assert_false(memmap_is_ram(&m, 0, MIB(2) + 1));
	assert_false(memmap_is_ram(&m, MIB(2), 1));
	assert_false(memmap_is_ram(&m, MIB(4) - 1, 2));
	assert_false(memmap_is_ram(&m, MIB(1), UINT64_MAX));
	assert_false(memmap_is_ram(&m, 0, 0));
}

static void test_set_carves(void **state)
{
	static struct memmap m;
	const struct boot_mem in[] = { { .base = 0, .len = MIB(1), .type = BOOT_MEM_RAM } };

	(void)state;
	memmap_build(&m, in, 1);
	memmap_set(&m, 0x8000, PAGE_SIZE, BOOT_MEM_RESERVED);
	check_order(&m);
	assert_int_equal(m.count, 3);
	assert_int_equal(m.r[1].type, BOOT_MEM_RESERVED);
	memmap_set(&m, 0x8000, PAGE_SIZE, BOOT_MEM_RAM);
	assert_int_equal(m.count, 1);
	assert_int_equal(m.r[0].len, MIB(1));
}

static void test_type_names(void **state)
{
	(void)state;
	assert_string_equal(memmap_type_name(BOOT_MEM_RAM), "ram");
	assert_string_equal(memmap_type_name(BOOT_MEM_BAD), "bad");
	assert_string_equal(memmap_type_name(0), "unknown");
	assert_string_equal(memmap_type_name(77), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_maps_match_the_model),
		cmocka_unit_test(test_too_many_entries_never_invent_ram),
		cmocka_unit_test(test_large_ranges_survive_a_full_table),
		cmocka_unit_test(test_is_ram),
		cmocka_unit_test(test_set_carves),
		cmocka_unit_test(test_type_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
