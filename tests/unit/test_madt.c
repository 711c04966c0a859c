/* UNIT: kernel/acpi/madt.c */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/acpi/madt.h"
#include "kernel/lib/err.h"

#define HEADER 44

static uint8_t table[1024];
static size_t len;

static void begin(void)
{
	memset(table, 0, sizeof(table));
	memcpy(table, "APIC", 4);
	memcpy(table + 36, "\x00\x00\xe0\xfe\x01\x00\x00\x00", 8);
	len = HEADER;
}

static void add(const char *bytes, size_t n)
{
	memcpy(table + len, bytes, n);
	len += n;
}

/* Parsed from a heap block of exactly that size, so that the sanitizer sees overreads. */
static int parse(struct madt_info *out)
{
	uint8_t *copy = malloc(len ? len : 1);
	int err;

	memcpy(copy, table, len);
	err = madt_parse(copy, len, out);
	free(copy);
	return err;
}

static void add_qemu_entries(void)
{
	add("\x00\x08\x00\x00\x01\x00\x00\x00", 8);
	add("\x00\x08\x01\x01\x01\x00\x00\x00", 8);
	add("\x00\x08\x02\x02\x00\x00\x00\x00", 8);
	add("\x01\x0c\x05\x00\x00\x00\xc0\xfe\x00\x00\x00\x00", 12);
	add("\x02\x0a\x00\x00\x02\x00\x00\x00\x00\x00", 10);
	add("\x02\x0a\x00\x09\x09\x00\x00\x00\x0d\x00", 10);
	add("\x02\x0a\x00\x0a\x0a\x00\x00\x00\x0f\x00", 10);
	add("\x04\x06\xff\x00\x00\x01", 6);
}

static void test_usual_table(void **state)
{
	struct madt_info m;

	(void)state;
	begin();
	add_qemu_entries();
	assert_int_equal(parse(&m), 0);
	assert_int_equal(m.lapic_addr, 0xfee00000);
	assert_true(m.has_8259);
	assert_int_equal(m.cpu_count, 2);
	assert_int_equal(m.ioapic_count, 1);
	assert_int_equal(m.ioapic[0].addr, 0xfec00000);
	assert_int_equal(m.ioapic[0].id, 5);
	assert_int_equal(m.isa[0].gsi, 2);
	assert_int_equal(m.isa[1].gsi, 1);
	assert_true(m.isa[9].level && !m.isa[9].active_low);
	assert_true(m.isa[10].level && m.isa[10].active_low);
	assert_false(m.isa[4].level || m.isa[4].active_low);
	assert_int_equal(m.ignored, 0);
}

static void test_large_system(void **state)
{
	struct madt_info m;

	(void)state;
	begin();
	add("\x05\x0c\x00\x00\x00\x00\xe0\xfe\x01\x00\x00\x00", 12);
	add("\x09\x10\x00\x00\x2c\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00", 16);
	for (int i = 0; i < 17; i++) {
		char e[12] = { 1, 12, (char)i, 0, 0, (char)(i << 4), (char)0xc0, (char)0xfe,
			       (char)(i * 8) };

		add(e, sizeof(e));
	}
	assert_int_equal(parse(&m), 0);
	assert_true(m.lapic_addr == 0x1fee00000ull);
	assert_int_equal(m.cpu_count, 1);
	assert_int_equal(m.ioapic_count, MADT_IOAPIC_MAX);
	assert_int_equal(m.ignored, 1);
	assert_int_equal(m.ioapic[3].gsi_base, 24);
}

static void test_nonsense_is_counted(void **state)
{
	struct madt_info m;

	(void)state;
	begin();
	add("\x02\x0a\x00\x10\x02\x00\x00\x00\x00\x00", 10); /* ISA interrupt 16 */
	add("\x02\x0a\x01\x00\x02\x00\x00\x00\x00\x00", 10); /* bus 1 */
	add("\x01\x0c\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00", 12); /* IOAPIC at 0 */
	add("\x01\x04\x05\x00", 4); /* too short for its kind */
	add("\x00\x02", 2);
	add("\x7f\x03\x00", 3); /* unknown kind: fine */
	assert_int_equal(parse(&m), 0);
	assert_int_equal(m.ignored, 5);
	assert_int_equal(m.ioapic_count, 0);
	assert_int_equal(m.isa[0].gsi, 0);
}

static void test_broken_chains(void **state)
{
	struct madt_info m;

	(void)state;
	begin();
	add_qemu_entries();
	add("\x01\x00", 2); /* no length */
	assert_int_equal(parse(&m), -RAY_EPROTO);
	assert_int_equal(m.ioapic_count, 1);

	begin();
	add("\x01\x0c\x05\x00\x00", 5); /* reaches outside */
	assert_int_equal(parse(&m), -RAY_EPROTO);

	begin();
	add("\x01", 1);
	assert_int_equal(parse(&m), -RAY_EPROTO);

	begin();
	len = HEADER - 1;
	assert_int_equal(parse(&m), -RAY_EPROTO);
	len = 0;
	assert_int_equal(parse(&m), -RAY_EPROTO);
	assert_int_equal(m.isa[15].gsi, 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usual_table),
		cmocka_unit_test(test_large_system),
		cmocka_unit_test(test_nonsense_is_counted),
		cmocka_unit_test(test_broken_chains),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
