/* UNIT: kernel/smbios/parse.c */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/err.h"
#include "kernel/smbios/smbios.h"

static void seal(uint8_t *p, size_t len, size_t at)
{
	uint8_t s = 0;

	p[at] = 0;
	for (size_t i = 0; i < len; i++)
		s = (uint8_t)(s + p[i]);
	p[at] = (uint8_t)(0 - s);
}

static void entry3(uint8_t p[0x18], uint64_t table, uint32_t len)
{
	memset(p, 0, 0x18);
	memcpy(p, "_SM3_", 5);
	p[6] = 0x18;
	p[7] = 3;
	p[8] = 6;
	memcpy(p + 0xc, &len, 4);
	memcpy(p + 0x10, &table, 8);
	seal(p, 0x18, 5);
}

static void entry2(uint8_t p[0x1f])
{
	uint16_t len = 0x123, count = 4;
	uint32_t addr = 0xf0000;

	memset(p, 0, 0x1f);
	memcpy(p, "_SM_", 4);
	p[5] = 0x1f;
	p[6] = 2;
	p[7] = 8;
	memcpy(p + 0x10, "_DMI_", 5);
	memcpy(p + 0x16, &len, 2);
	memcpy(p + 0x18, &addr, 4);
	memcpy(p + 0x1c, &count, 2);
	seal(p, 0x1f, 4);
}

static void test_entry_3(void **state)
{
	struct smbios_entry e;
	uint8_t p[0x18];

	(void)state;
	entry3(p, 0x7ff00000, 500);
	assert_int_equal(smbios_entry_parse(p, sizeof(p), &e), 0);
	assert_int_equal(e.table, 0x7ff00000);
	assert_int_equal(e.table_len, 500);
	assert_int_equal(e.major, 3);
	assert_int_equal(e.minor, 6);
	entry3(p, 0x7ff00000, UINT32_MAX);
	assert_int_equal(smbios_entry_parse(p, sizeof(p), &e), 0);
	assert_int_equal(e.table_len, SMBIOS_TABLE_MAX);
	p[9]++;
	assert_int_equal(smbios_entry_parse(p, sizeof(p), &e), -RAY_EPROTO);
	entry3(p, 0, 500);
	assert_int_equal(smbios_entry_parse(p, sizeof(p), &e), -RAY_EPROTO);
	entry3(p, 1, 0);
	assert_int_equal(smbios_entry_parse(p, sizeof(p), &e), -RAY_EPROTO);
	entry3(p, 1, 1);
	p[6] = 0x19; /* claims more than is there */
	assert_int_equal(smbios_entry_parse(p, sizeof(p), &e), -RAY_EPROTO);
	for (size_t n = 0; n < sizeof(p); n++)
		assert_int_equal(smbios_entry_parse(p, n, &e), -RAY_EPROTO);
}

static void test_entry_2(void **state)
{
	struct smbios_entry e;
	uint8_t p[0x1f];

	(void)state;
	entry2(p);
	assert_int_equal(smbios_entry_parse(p, sizeof(p), &e), 0);
	assert_int_equal(e.table, 0xf0000);
	assert_int_equal(e.table_len, 0x123);
	assert_int_equal(e.count, 4);
	for (size_t n = 0; n < sizeof(p); n++)
		assert_int_equal(smbios_entry_parse(p, n, &e), -RAY_EPROTO);
	p[0x10] = 'x';
	seal(p, 0x1f, 4);
	assert_int_equal(smbios_entry_parse(p, sizeof(p), &e), -RAY_EPROTO);
	memcpy(p, "XXXX", 4);
	assert_int_equal(smbios_entry_parse(p, sizeof(p), &e), -RAY_EPROTO);
}

/* BIOS, an unknown structure without strings, system, end. */
static const uint8_t good[] = {
	0, 0x12, 0, 0, 1, 2, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	'E', 'D', 'K', ' ', 'I', 'I', 0, '1', '.', '0', 0, '2', '0', '2', '3', 0, 0,
	200, 4, 1, 0, 0, 0,
	1, 0x1b, 2, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	' ', 'Q', 'E', 'M', 'U', ' ', ' ', 0, 'P', 'C', 27, '[', 0, 'v', 0, 'S', '1', 0, 0,
	127, 4, 3, 0, 0, 0,
};

static void parse(const uint8_t *p, size_t len, uint32_t count, struct smbios_info *out)
{
	uint8_t *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, p, len);
	smbios_table_parse(copy, len, count, out);
	free(copy);
}

static void test_table(void **state)
{
	struct smbios_info i = {.major = 3, .minor = 6};

	(void)state;
	parse(good, sizeof(good), UINT32_MAX, &i);
	assert_int_equal(i.major, 3);
	assert_string_equal(i.bios_vendor, "EDK II");
	assert_string_equal(i.bios_version, "1.0");
	assert_string_equal(i.bios_date, "2023");
	assert_string_equal(i.vendor, "QEMU");
	assert_string_equal(i.product, "PC?[");
	assert_string_equal(i.version, "v");
	assert_string_equal(i.serial, "S1");
	parse(good, sizeof(good), 1, &i);
	assert_string_equal(i.bios_vendor, "EDK II");
	assert_string_equal(i.vendor, "");
}

static void test_cut_and_damaged(void **state)
{
	struct smbios_info i = {.major = 0};
	uint8_t bad[sizeof(good)];

	(void)state;
	for (size_t n = 0; n < sizeof(good); n++)
		parse(good, n, UINT32_MAX, &i);
	for (size_t n = 0; n < sizeof(good); n++) {
		for (unsigned int v = 0; v < 256; v += 51) {
			memcpy(bad, good, sizeof(good));
			bad[n] = (uint8_t)v;
			parse(bad, sizeof(bad), UINT32_MAX, &i);
		}
	}
	/* A text longer than its field is cut; a string number without a string is empty. */
	{
		uint8_t longish[8 + 200 + 2] = {1, 8, 0, 0, 1, 2, 9, 255};

		memset(longish + 8, 'x', 200);
		parse(longish, sizeof(longish), 1, &i);
		assert_int_equal(strlen(i.vendor), SMBIOS_TEXT_MAX - 1);
		assert_string_equal(i.product, "");
		assert_string_equal(i.serial, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entry_3),
		cmocka_unit_test(test_entry_2),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_cut_and_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
