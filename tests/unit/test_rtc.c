/* UNIT: kernel/time/rtc.c */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/time/rtc.h"

#define B_24H    0x02
#define B_BINARY 0x04

static void test_bcd(void **state)
{
	struct rtc_regs r = { 0x59, 0x30, 0x23, 0x29, 0x02, 0x24, 0x20, B_24H };
	uint64_t s;

	(void)state;
	assert_true(rtc_decode(&r, &s));
	assert_int_equal(s, 1709249459); /* 2024-02-29 23:30:59 */
}

static void test_binary_and_no_century(void **state)
{
	struct rtc_regs r = { 1, 2, 3, 1, 1, 26, 0, B_24H | B_BINARY };
	uint64_t s;

	(void)state;
	assert_true(rtc_decode(&r, &s));
	assert_int_equal(s, 1767236521); /* 2026-01-01 03:02:01 */
}

static void test_twelve_hours(void **state)
{
	struct rtc_regs r = { 0, 0, 0x12, 1, 1, 0, 0x20, 0 };
	uint64_t midnight, s;

	(void)state;
	assert_true(rtc_decode(&r, &midnight)); /* 12 AM */
	assert_int_equal(midnight, 946684800);
	r.hour = 0x92; /* 12 PM */
	assert_true(rtc_decode(&r, &s));
	assert_int_equal(s - midnight, 12 * 3600);
	r.hour = 0x91; /* 11 PM */
	assert_true(rtc_decode(&r, &s));
	assert_int_equal(s - midnight, 23 * 3600);
	r.hour = 0x13;
	assert_false(rtc_decode(&r, &s));
	r.hour = 0;
	assert_false(rtc_decode(&r, &s));
}

static void test_nonsense(void **state)
{
	const struct rtc_regs good = { 0, 0, 0, 1, 1, 0x25, 0x20, B_24H };
	struct rtc_regs r;
	uint64_t s;

	(void)state;
	assert_true(rtc_decode(&good, &s));
#define BAD(field, value)                                                                      \
	do {                                                                                   \
		r = good;                                                                      \
		r.field = (value);                                                             \
		assert_false(rtc_decode(&r, &s));                                              \
	} while (0)
	BAD(second, 0x61);
	BAD(second, 0x0a);
	BAD(minute, 0x60);
	BAD(hour, 0x24);
	BAD(day, 0);
	BAD(day, 0x32);
	BAD(month, 0);
	BAD(month, 0x13);
	BAD(year, 0xa0);
	r = good;
	r.month = 2;
	r.day = 0x29; /* 2025 is no leap year */
	assert_false(rtc_decode(&r, &s));
}

static void test_every_day_follows_the_last(void **state)
{
	static const int days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	uint64_t expect = 946684800; /* 2000-01-01 */

	(void)state;
	for (int y = 2000; y < 2110; y++) {
		for (int m = 1; m <= 12; m++) {
			int n = days[m - 1] +
				(m == 2 && ((y % 4 == 0 && y % 100 != 0) || y % 400 == 0));

			for (int d = 1; d <= n; d++) {
				struct rtc_regs r = { 0, 0, 0, (uint8_t)d, (uint8_t)m,
						      (uint8_t)(y % 100), (uint8_t)(y / 100),
						      B_24H | B_BINARY };
				uint64_t s;

				assert_true(rtc_decode(&r, &s));
				assert_int_equal(s, expect);
				expect += 86400;
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bcd),
		cmocka_unit_test(test_binary_and_no_century),
		cmocka_unit_test(test_twelve_hours),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_every_day_follows_the_last),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
