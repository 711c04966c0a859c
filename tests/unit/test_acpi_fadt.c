/* UNIT: kernel/acpi/fadt.c */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/acpi/fadt.h"
#include "kernel/lib/err.h"

/* Parse a copy of exactly @len bytes, so that the sanitizer sees what is read beyond. */
static int parse(const uint8_t *p, size_t len, struct acpi_fadt *out)
{
	uint8_t *copy = malloc(len ? len : 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, p, len);
	err = acpi_fadt_parse(copy, len, out);
	free(copy);
	return err;
}

static void table(uint8_t t[276])
{
	uint32_t flags = ACPI_FADT_RESET_REG_SUP | ACPI_FADT_TMR_32BIT, timer = 0x608;
	uint64_t reset = 0xcf9;

	memset(t, 0, 276);
	t[48] = 0xb2;
	t[52] = 2;
	t[64] = 0x04;
	t[65] = 0x06;
	t[46] = 9;
	memcpy(t + 76, &timer, 4);
	t[91] = 4;
	t[109] = ACPI_BOOT_ARCH_8042;
	memcpy(t + 112, &flags, 4);
	t[116] = ACPI_SPACE_IO;
	t[117] = 8;
	memcpy(t + 120, &reset, 8);
	t[128] = 0x0f;
}

static void test_whole(void **state)
{
	uint64_t wide = 0xb008;
	struct acpi_fadt f;
	uint8_t t[276];

	(void)state;
	table(t);
	assert_int_equal(parse(t, sizeof(t), &f), 0);
	assert_int_equal(f.sci_irq, 9);
	assert_int_equal(f.boot_arch, ACPI_BOOT_ARCH_8042);
	assert_int_equal(f.reset_reg.space, ACPI_SPACE_IO);
	assert_int_equal(f.reset_reg.address, 0xcf9);
	assert_int_equal(f.reset_value, 0x0f);
	assert_int_equal(f.pm_timer.address, 0x608);
	assert_int_equal(f.pm1a_control.address, 0x604);
	assert_int_equal(f.pm1b_control.address, 0);
	assert_int_equal(f.smi_port, 0xb2);
	assert_int_equal(f.acpi_enable, 2);
	/* The extended block wins. */
	t[208] = ACPI_SPACE_MEMORY;
	memcpy(t + 212, &wide, 8);
	assert_int_equal(parse(t, sizeof(t), &f), 0);
	assert_int_equal(f.pm_timer.address, 0xb008);
	assert_int_equal(f.pm_timer.space, ACPI_SPACE_MEMORY);
}

static void test_short_and_unset(void **state)
{
	struct acpi_fadt f;
	uint8_t t[276];

	(void)state;
	table(t);
	for (size_t n = 0; n <= sizeof(t); n++) {
		assert_int_equal(parse(t, n, &f), n < 116 ? -RAY_EPROTO : 0);
		if (n >= 116 && n < 129)
			assert_int_equal(f.reset_reg.address, 0);
		if (n >= 129)
			assert_int_equal(f.reset_reg.address, 0xcf9);
	}
	t[113] = 0; /* flag RESET_REG_SUP */
	t[91] = 3;  /* a timer of the wrong length */
	assert_int_equal(parse(t, sizeof(t), &f), 0);
	assert_int_equal(f.reset_reg.address, 0);
	assert_int_equal(f.pm_timer.address, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_short_and_unset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
