/* UNIT: kernel/lib/fmt.c kernel/lib/sink.c */
// SPDX-License-Identifier: Apache-2.0
/* Formatting, measured against the host's printf over all flags, widths and lengths. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/fmt.h"
#include "kernel/lib/sink.h"

#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
#pragma GCC diagnostic ignored "-Wformat-truncation"
#pragma GCC diagnostic ignored "-Wformat-overflow"

static char got[512], want[512];

#define SAME(f, ...)                                                                      \
	do {                                                                              \
		int r1 = ray_snprintf(got, sizeof(got), f, __VA_ARGS__);                  \
		int r2 = snprintf(want, sizeof(want), f, __VA_ARGS__);                    \
		if (r1 != r2 || strcmp(got, want) != 0)                                   \
			fail_msg("%s: got '%s' %d, want '%s' %d", f, got, r1, want, r2);  \
	} while (0)

static void test_integers(void **state)
{
	static const char *const flags[] = { "", "-", "0", "+", " ", "#", "-0", "+0", "#0", "-#",
		"0#8", "-#12", "12", "-12", "012", "+12", " 12", ".0", ".5", "12.5", "-12.5",
		"012.5", "#.0", "+.0", "#12.5", "#012" };
	static const char *const lens[] = { "hh", "h", "", "l", "ll", "z", "t", "j" };
	static const char convs[] = "diuxXo";
	static const uint64_t values[] = { 0, 1, 7, 8, 42, 127, 128, 255, 256, 32767, 65535,
		INT_MAX, 1ull + INT_MAX, UINT_MAX, LONG_MAX, 1ull + LONG_MAX, ULONG_MAX };

	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(flags); f++) {
		for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
			for (const char *c = convs; *c; c++) {
				char spec[24];

				snprintf(spec, sizeof(spec), "<%%%s%s%c>", flags[f], lens[l], *c);
				for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
					if (l >= 3)
						SAME(spec, values[v]);
					else
						SAME(spec, (unsigned int)values[v]);
				}
			}
		}
	}
}

static void test_strings(void **state)
{
	static const char *const specs[] = { "%s", "%10s", "%-10s|", "%.2s", "%10.2s", "%-10.2s|",
		"%.0s", "%.s" };
	char raw[3] = { 'a', 'b', 'c' };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		SAME(specs[i], "");
		SAME(specs[i], "hello");
	}
	SAME("%.3s", raw); /* not terminated */
	SAME("%s", (char *)NULL);
	SAME("%c%5c%-5c|", 'a', 'b', 'c');
	SAME("100%%%d", 1);
	SAME("%*d|%-*d|%.*d", 6, 1, 6, 2, 4, 3);
	SAME("%*d|%.*d", -6, 1, -1, 3);
	SAME("%p", (void *)0x1234abcd);
	ray_snprintf(got, sizeof(got), "%p", NULL);
	assert_string_equal(got, "0");
}

/* Output is cut, terminated, and the full length returned. */
static void test_cut(void **state)
{
	char b[8];

	(void)state;
	for (size_t size = 0; size <= sizeof(b); size++) {
		memset(b, 'z', sizeof(b));
		assert_int_equal(ray_snprintf(b, size, "%s-%d", "abcd", 123), 8);
		if (size > 0) {
			assert_int_equal(strlen(b), size - 1);
			assert_memory_equal(b, "abcd-123", size - 1);
		}
		for (size_t i = size; i < sizeof(b); i++)
			assert_int_equal(b[i], 'z');
		assert_int_equal(ray_scnprintf(b, size, "%s-%d", "abcd", 123),
		                 size ? size - 1 : 0);
	}
	assert_int_equal(ray_snprintf(NULL, 0, "%1000d", 1), 1000);
	assert_int_equal(ray_scnprintf(b, sizeof(b), "ab"), 2);
}

/* What does not exist is shown, not interpreted. */
static void test_unknown(void **state)
{
	static const char *const bad[] = { "a%qz%d", "%", "x%5", "%l", "%.", "%n", "%f", "%-08.3" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ray_snprintf(got, sizeof(got), bad[i], 1, 2);
		assert_string_equal(got, bad[i]);
	}
	assert_true(ray_snprintf(got, 4, "%99999999999999d", 1) > 0);
	assert_string_equal(got, "   ");
	assert_true(ray_snprintf(got, 4, "%*d", INT_MIN, 1) > 0);
}

static void test_sink(void **state)
{
	struct buf_sink b;
	char buf[6];

	(void)state;
	buf_sink_init(&b, buf, sizeof(buf));
	sink_puts(&b.sink, "");
	sink_puts(&b.sink, "ab");
	assert_int_equal(sink_printf(&b.sink, "%d", 7), 1);
	sink_fill(&b.sink, '.', 0);
	sink_fill(&b.sink, '.', 100);
	assert_string_equal(buf, "ab7..");
	assert_int_equal(b.len, 5);
	assert_int_equal(b.lost, 98);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers), cmocka_unit_test(test_strings),
		cmocka_unit_test(test_cut),      cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_sink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
