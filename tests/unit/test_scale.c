/* UNIT: kernel/lib/muldiv.c kernel/time/scale.c */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/lib/muldiv.h"
#include "kernel/time/scale.h"

static const uint64_t rates[] = { SCALE_HZ_MIN, 1193182,	3579545,    24000000,
				  39999990,	1000000000,	999998765,  2899998000ull,
				  3500000000ull, 6123456789ull, SCALE_HZ_MAX };
static const uint64_t times[] = { 0, 1, 2, 3, 999, 1000, 123456789, 1000000000, 86400000000000ull,
				  3153600000000000000ull / 10 };

static void test_ticks_are_the_smallest_that_reach(void **state)
{
	(void)state;
	for (size_t r = 0; r < ARRAY_SIZE(rates); r++) {
		struct clock_scale s;

		scale_init(&s, rates[r]);
		for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
			uint64_t t;

			if (times[i] / NS_PER_SEC * rates[r] / rates[r] != times[i] / NS_PER_SEC)
				continue; /* more than 64 bits of ticks */
			t = scale_to_ticks(&s, times[i]);

			assert_true(scale_to_ns(&s, t) >= times[i]);
			if (t > 0)
				assert_true(scale_to_ns(&s, t - 1) < times[i]);
		}
	}
}

static void test_rate_is_kept(void **state)
{
	(void)state;
	for (size_t r = 0; r < ARRAY_SIZE(rates); r++) {
		struct clock_scale s;
		uint64_t ns;

		if (rates[r] > 10000000000ull)
			continue; /* coarse on purpose up there */
		scale_init(&s, rates[r]);
		ns = scale_to_ns(&s, rates[r] * 1000);
		assert_in_range(ns, 1000 * NS_PER_SEC - 3000, 1000 * NS_PER_SEC);
	}
}

static void test_one_ghz_is_exact(void **state)
{
	struct clock_scale s;

	(void)state;
	scale_init(&s, 1000000000);
	assert_int_equal(scale_to_ns(&s, 0xfedcba9876543210ull), 0xfedcba9876543210ull);
	assert_int_equal(scale_to_ticks(&s, 0xfedcba9876543210ull), 0xfedcba9876543210ull);
}

static void test_overflow_saturates(void **state)
{
	struct clock_scale s;

	(void)state;
	scale_init(&s, 3000000000ull);
	assert_true(scale_to_ticks(&s, UINT64_MAX) == UINT64_MAX);
	assert_true(scale_to_ticks(&s, UINT64_MAX / 2) == UINT64_MAX);
}

/* A slow clock has ticks for all nanoseconds, and beyond. */
static void test_the_last_nanosecond(void **state)
{
	(void)state;
	for (size_t r = 0; r < ARRAY_SIZE(rates); r++) {
		struct clock_scale s;
		uint64_t t;

		scale_init(&s, rates[r]);
		t = scale_to_ticks(&s, UINT64_MAX);
		if (t != UINT64_MAX)
			assert_true(((unsigned __int128)t * s.ns_per_tick) >> 32 >= UINT64_MAX);
	}
}

static void test_mul_div(void **state)
{
	(void)state;
	assert_int_equal(mul_div(5965, 3579545, 1193182), 17894);
	assert_int_equal(mul_div(1, 1, 0), 0);
	assert_true(mul_div(UINT64_MAX, 2, 1) == UINT64_MAX);
	assert_true(mul_div(UINT64_MAX, UINT64_MAX, UINT64_MAX) == UINT64_MAX);
	assert_true(mul_div(0xffffffffffffff00ull, 0xffffffffffffff01ull,
				  0xffffffffffffff02ull) == 0xfffffffffffffeffull);
	assert_int_equal(scale_div_frac(1, 2), 1ull << 63);
	assert_int_equal(scale_div_frac(1, 3), 0x5555555555555555ull);
	assert_true(scale_div_frac(UINT64_MAX - 1, UINT64_MAX) == 0xfffffffffffffffeull);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ticks_are_the_smallest_that_reach),
		cmocka_unit_test(test_rate_is_kept),
		cmocka_unit_test(test_one_ghz_is_exact),
		cmocka_unit_test(test_overflow_saturates),
		cmocka_unit_test(test_the_last_nanosecond),
		cmocka_unit_test(test_mul_div),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
