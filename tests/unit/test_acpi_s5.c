/* UNIT: kernel/acpi/s5.c */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/acpi/soft_off.h"
#include "kernel/lib/err.h"

static int scan(const void *p, size_t len, struct acpi_s5 *out)
{
	uint8_t *copy = malloc(len ? len : 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, p, len);
	err = acpi_s5_scan(copy, len, out);
	free(copy);
	return err;
}

static void test_forms(void **state)
{
	static const struct {
		const char *aml;
		size_t len;
		uint8_t a, b;
	} forms[] = {
		{"\x08_S5_\x12\x06\x04\x00\x00\x00\x00", 12, 0, 0},             /* QEMU */
		{"xx\x08\\_S5_\x12\x08\x04\x0a\x07\x0a\x05\x00\x00", 17, 7, 5}, /* Name(\_S5) */
		{"\x08_S5_\x12\x45\x00\x04\x01\x0a\x06", 12, 1, 6},             /* long PkgLength */
		{"\x08_S5_\x12\x04\x01\x0a\x05", 10, 5, 0},                     /* one element */
		/* A mention of the name that is no package comes first. */
		{"\x08_S5_\x0d_S5_\x08_S5_\x12\x06\x02\x01\x01", 21, 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct acpi_s5 s = {.type_a = 99};

		assert_int_equal(scan(forms[i].aml, forms[i].len, &s), 0);
		assert_int_equal(s.type_a, forms[i].a);
		assert_int_equal(s.type_b, forms[i].b);
		/* Cut anywhere: found or not, nothing is read beyond. */
		for (size_t n = 0; n < forms[i].len; n++)
			(void)!scan(forms[i].aml, n, &s);
	}
}

static void test_nothing(void **state)
{
	static const struct {
		const char *aml;
		size_t len;
	} none[] = {
		{"", 0},
		{"_S5_\x12\x06\x04\x00\x00", 9},              /* no NameOp */
		{"\x08_S5_\x12\x06\x00\x00\x00", 10},          /* empty package */
		{"\x08_S5_\x12\x06\x04\x0a\x08\x00", 11},      /* no such sleep type */
		{"\x08_S5_\x12\x06\x04\x0b\x05\x00\x00", 12},  /* a word */
		{"\x08_S4_\x12\x06\x04\x00\x00\x00\x00", 12},
	};
	struct acpi_s5 s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		assert_int_equal(scan(none[i].aml, none[i].len, &s), -RAY_ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
