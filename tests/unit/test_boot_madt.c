/* UNIT: boot/madt.c */
// SPDX-License-Identifier: Apache-2.0
/* boot/madt.c: the CPU list, and tables that end or contradict themselves anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot/madt.h"

#define HEAD 44u

static uint8_t table[4096];
static uint32_t len;
static struct boot_cpu cpus[8];

static int setup(void **state)
{
	(void)state;
	memset(table, 0, sizeof(table));
	len = HEAD;
	return 0;
}

static void entry(const uint8_t *bytes, uint32_t n)
{
	memcpy(table + len, bytes, n);
	len += n;
}

static void lapic(uint8_t id, uint8_t flags)
{
	entry((uint8_t[]){0, 8, 1, id, flags, 0, 0, 0}, 8);
}

static void x2apic(uint32_t id, uint8_t flags)
{
	uint8_t e[16] = {9, 16, 0, 0};

	memcpy(e + 4, &id, 4);
	e[8] = flags;
	entry(e, sizeof(e));
}

/* In a block of exactly the table's size. */
static uint32_t read_cpus(uint32_t size, uint32_t bsp, uint32_t max)
{
	uint8_t *copy = malloc(size ? size : 1);
	uint32_t n;

	assert_non_null(copy);
	memcpy(copy, table, size);
	memset(cpus, 0, sizeof(cpus));
	n = madt_cpus(copy, size, bsp, cpus, max);
	free(copy);
	return n;
}

static void test_order_and_flags(void **state)
{
	(void)state;
	lapic(4, 1);
	entry((uint8_t[]){1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0}, 12); /* I/O APIC */
	lapic(2, 1);
	lapic(6, 0); /* disabled */
	lapic(8, 2); /* only hot-pluggable */
	x2apic(300, 1);
	x2apic(301, 0);
	assert_int_equal(read_cpus(len, 2, 8), 3);
	assert_int_equal(cpus[0].apic_id, 4);
	assert_int_equal(cpus[0].flags, BOOT_CPU_ENABLED);
	assert_int_equal(cpus[1].apic_id, 2);
	assert_int_equal(cpus[1].flags, BOOT_CPU_ENABLED | BOOT_CPU_BSP);
	assert_int_equal(cpus[2].apic_id, 300);
}

static void test_duplicates_and_no_ids(void **state)
{
	(void)state;
	lapic(1, 1);
	lapic(0xff, 1);
	x2apic(1, 1);
	x2apic(UINT32_MAX, 1);
	assert_int_equal(read_cpus(len, 1, 8), 1);
}

static void test_limit(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < 20; i++)
		lapic(i, 1);
	assert_int_equal(read_cpus(len, 0, 8), 8);
	assert_int_equal(read_cpus(len, 0, 0), 0);
}

static void test_malformed(void **state)
{
	(void)state;
	lapic(1, 1);
	lapic(2, 1);
	for (uint32_t n = 0; n < len; n++)
		assert_int_equal(read_cpus(n, 0, 8), n < HEAD + 8 ? 0 : 1);
	table[HEAD + 8 + 1] = 0; /* would loop forever */
	assert_int_equal(read_cpus(len, 0, 8), 1);
	table[HEAD + 8 + 1] = 200; /* beyond the end */
	assert_int_equal(read_cpus(len, 0, 8), 1);
	table[HEAD + 1] = 4; /* too short for its type, and out of step from there on */
	assert_int_equal(read_cpus(len, 0, 8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_order_and_flags, setup),
		cmocka_unit_test_setup(test_duplicates_and_no_ids, setup),
		cmocka_unit_test_setup(test_limit, setup),
		cmocka_unit_test_setup(test_malformed, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
