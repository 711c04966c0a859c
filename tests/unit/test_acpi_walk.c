/* UNIT: kernel/acpi/walk.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * kernel/acpi/walk.c over a fake physical memory whose every mapping is a heap copy of exactly
 * the bytes asked for, so that the sanitizer sees any byte read beyond a checked length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/acpi/walk.h"
#include "kernel/lib/err.h"

#define BASE 0x10000u
#define SIZE 0x20000u

static uint8_t ram[SIZE];
static int maps_live;
static int maps_left; /* mappings until the fake runs out; < 0: never */

static const void *fake_map(void *ctx, uint64_t hpa, size_t len)
{
	void *p;

	(void)ctx;
	if (hpa < BASE || hpa - BASE > SIZE || len > SIZE - (hpa - BASE))
		return NULL;
	if (maps_left == 0)
		return NULL;
	maps_left--;
	p = malloc(len);
	assert_non_null(p);
	memcpy(p, ram + (hpa - BASE), len);
	maps_live++;
	return p;
}

static void fake_unmap(void *ctx, const void *va, size_t len)
{
	(void)ctx;
	(void)len;
	maps_live--;
	free((void *)(uintptr_t)va);
}

static const struct acpi_mem mem = {.map = fake_map, .unmap = fake_unmap};
static struct acpi_table_list list;

static void put(uint32_t addr, const void *p, size_t len)
{
	memcpy(ram + (addr - BASE), p, len);
}

static void seal(uint32_t addr, uint32_t len, uint32_t sum_off)
{
	uint8_t *b = ram + (addr - BASE);

	b[sum_off] = 0;
	b[sum_off] = (uint8_t)(0 - acpi_checksum(b, len));
}

static void table(uint32_t addr, const char *sig, uint32_t len)
{
	put(addr, sig, 4);
	put(addr + 4, &len, 4);
	seal(addr, len, 9);
}

static void rsdp(uint32_t addr, uint8_t rev, uint32_t rsdt, uint64_t xsdt)
{
	uint32_t len = 36;

	put(addr, "RSD PTR ", 8);
	put(addr + 9, "RAYOEM", 6);
	put(addr + 15, &rev, 1);
	put(addr + 16, &rsdt, 4);
	seal(addr, 20, 8);
	if (rev >= 2) {
		put(addr + 20, &len, 4);
		put(addr + 24, &xsdt, 8);
		seal(addr, 36, 32);
	}
}

static void root(uint32_t addr, const char *sig, const uint64_t *ptr, unsigned int n, size_t width)
{
	for (unsigned int i = 0; i < n; i++)
		put(addr + 36 + (uint32_t)(i * width), &ptr[i], width);
	table(addr, sig, 36 + (uint32_t)(n * width));
}

/* A machine like q35: FADT with 64-bit DSDT, FACS, two SSDTs, MADT. */
static void machine(void)
{
	static const uint64_t entries[] = {0x12000, 0x13000, 0x13400, 0x13800};
	static const uint64_t narrow[] = {0x13000};
	uint64_t dsdt = 0x14000;
	uint32_t facs = 0x15000, facs_len = 64;

	memset(ram, 0, sizeof(ram));
	rsdp(0x10000, 2, 0x11800, 0x11000);
	root(0x11000, "XSDT", entries, 4, 8);
	root(0x11800, "RSDT", narrow, 1, 4);
	put(0x12000 + 36, &facs, 4);
	put(0x12000 + 140, &dsdt, 8);
	table(0x12000, "FACP", 244);
	table(0x13000, "SSDT", 40);
	table(0x13400, "SSDT", 41);
	table(0x13800, "APIC", 44);
	table(0x14000, "DSDT", 100);
	put(0x15000, "FACS", 4);
	put(0x15004, &facs_len, 4);
}

static int walk(void)
{
	return acpi_walk(&mem, 0x10000, &list);
}

static int teardown(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < list.count; i++)
		fake_unmap(NULL, list.t[i].data, list.t[i].len);
	list.count = 0;
	assert_int_equal(maps_live, 0);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	maps_left = -1;
	machine();
	return 0;
}

static void test_finds_everything(void **state)
{
	const struct acpi_table *t;

	(void)state;
	assert_int_equal(walk(), 0);
	assert_int_equal(list.count, 7);
	assert_int_equal(list.rejected, 0);
	assert_int_equal(list.rsdp_revision, 2);
	assert_memory_equal(list.oem_id, "RAYOEM", 6);
	assert_memory_equal(list.t[0].sig, "XSDT", 4);
	t = acpi_walk_find(&list, "SSDT", 1);
	assert_non_null(t);
	assert_int_equal(t->hpa, 0x13400);
	assert_int_equal(t->len, 41);
	assert_null(acpi_walk_find(&list, "SSDT", 2));
	assert_non_null(acpi_walk_find(&list, "DSDT", 0));
	assert_non_null(acpi_walk_find(&list, "FACS", 0));
}

static void test_revision_0_uses_rsdt(void **state)
{
	(void)state;
	rsdp(0x10000, 0, 0x11800, 0x11000);
	assert_int_equal(walk(), 0);
	assert_memory_equal(list.t[0].sig, "RSDT", 4);
	assert_int_equal(list.count, 2);
}

static void test_falls_back_to_rsdt(void **state)
{
	(void)state;
	ram[0x1000 + 20]++; /* XSDT checksum */
	assert_int_equal(walk(), 0);
	assert_memory_equal(list.t[0].sig, "RSDT", 4);
	assert_int_equal(list.rejected, 1);
}

static void test_bad_second_half_is_acpi_1(void **state)
{
	(void)state;
	ram[33]++;
	assert_int_equal(walk(), 0);
	assert_int_equal(list.rsdp_revision, 0);
	assert_memory_equal(list.t[0].sig, "RSDT", 4);
}

static void test_no_rsdp(void **state)
{
	(void)state;
	ram[0] = 'X';
	assert_int_equal(walk(), -RAY_ENODEV);
	machine();
	ram[17]++; /* checksum */
	assert_int_equal(walk(), -RAY_ENODEV);
	assert_int_equal(acpi_walk(&mem, 0, &list), -RAY_ENODEV);
	assert_int_equal(acpi_walk(&mem, UINT64_MAX - 3, &list), -RAY_ENODEV);
	assert_int_equal(list.count, 0);
}

static void test_no_root(void **state)
{
	(void)state;
	ram[0x1000 + 20]++;
	ram[0x1800 + 20]++;
	assert_int_equal(walk(), -RAY_EPROTO);
	assert_int_equal(list.count, 0);
}

static void test_damaged_tables_left_out(void **state)
{
	static const uint32_t lengths[] = {0, 8, 35, ACPI_TABLE_LEN_MAX + 1, UINT32_MAX, SIZE};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		machine();
		put(0x13804, &lengths[i], 4);
		assert_int_equal(walk(), 0);
		assert_null(acpi_walk_find(&list, "APIC", 0));
		assert_int_equal(list.rejected, 1);
		assert_int_equal(list.count, 6);
		teardown(NULL);
	}
	machine();
	ram[0x3800 + 40]++; /* checksum */
	assert_int_equal(walk(), 0);
	assert_null(acpi_walk_find(&list, "APIC", 0));
}

static void test_wrong_dsdt_signature(void **state)
{
	(void)state;
	table(0x14000, "SSDT", 100);
	assert_int_equal(walk(), 0);
	assert_null(acpi_walk_find(&list, "DSDT", 0));
	assert_int_equal(list.rejected, 1);
}

static void test_short_fadt_has_32_bit_pointers(void **state)
{
	uint32_t dsdt = 0x14000;

	(void)state;
	put(0x12000 + 40, &dsdt, 4);
	table(0x12000, "FACP", 116);
	assert_int_equal(walk(), 0);
	assert_non_null(acpi_walk_find(&list, "DSDT", 0));
	teardown(NULL);
	/* Shorter than its pointers: none are followed. */
	table(0x12000, "FACP", 36);
	assert_int_equal(walk(), 0);
	assert_null(acpi_walk_find(&list, "DSDT", 0));
	assert_null(acpi_walk_find(&list, "FACS", 0));
}

static void test_loops_and_repeats(void **state)
{
	/* The root lists itself and the same table many times. */
	static const uint64_t entries[] = {0x11000, 0x13800, 0x13800, 0, 0x13800, UINT64_MAX - 2};

	(void)state;
	root(0x11000, "XSDT", entries, ARRAY_SIZE(entries), 8);
	assert_int_equal(walk(), 0);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.rejected, 1);
}

static void test_too_many_tables(void **state)
{
	static uint64_t entries[ACPI_TABLES_MAX + 10];

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(entries); i++) {
		entries[i] = 0x16000 + i * 64;
		table(0x16000 + i * 64, "SSDT", 36);
	}
	root(0x11000, "XSDT", entries, ARRAY_SIZE(entries), 8);
	assert_int_equal(walk(), 0);
	assert_int_equal(list.count, ACPI_TABLES_MAX);
	assert_int_equal(list.rejected, 11);
}

static void test_mapping_fails_at_every_point(void **state)
{
	int n;

	(void)state;
	for (n = 0; n < 40; n++) {
		int err;

		maps_left = n;
		err = walk();
		assert_true(err == 0 || err == -RAY_ENODEV || err == -RAY_EPROTO);
		if (err == 0 && list.count == 7)
			break;
		teardown(NULL);
	}
	assert_true(n < 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_finds_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(test_revision_0_uses_rsdt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_falls_back_to_rsdt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_second_half_is_acpi_1, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_rsdp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_root, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_tables_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_dsdt_signature, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short_fadt_has_32_bit_pointers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loops_and_repeats, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mapping_fails_at_every_point, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
