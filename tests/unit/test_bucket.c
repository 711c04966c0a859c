/* UNIT: kernel/lib/bucket.c kernel/lib/muldiv.c */
/* SPDX-License-Identifier: Apache-2.0 */
/* The token bucket against exact arithmetic: rates over long times, moments, debt, extremes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/lib/bucket.h"

#define TSC_HZ 2899998000ull
#define GBIT   (1000000000ull / 8)

static const uint64_t hzs[] = { 1000000, 1000000000, TSC_HZ, 5000000000ull, 1000000000000ull };
static const uint64_t rates[] = { 1, 7, 1000, 1250000, 12500000, GBIT, 12 * GBIT, 100 * GBIT };

static uint64_t state = 1;

static uint64_t random_below(uint64_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (state >> 16) % n;
}

/* Calls at random moments, each retried at the tick it was told; how much went in @seconds. */
static uint64_t flood(struct bucket *b, uint64_t hz, uint64_t start, uint64_t seconds,
		      uint64_t amount_max, uint64_t gap_max)
{
	uint64_t now = start, end = start + seconds * hz, taken = 0;

	while (now < end) {
		uint64_t amount = 1 + random_below(amount_max), when;

		when = bucket_take(b, now, amount);
		if (when) {
			assert_true(when > now);
			now = when;
			if (now >= end)
				break;
			assert_true(bucket_take(b, now, amount) == 0);
		}
		taken += amount;
		now += random_below(gap_max);
	}
	return taken;
}

static void expect_rate(uint64_t rate, uint64_t burst, uint64_t amount_max, uint64_t start)
{
	struct bucket b;
	uint64_t taken;

	bucket_init(&b, rate, burst, TSC_HZ);
	/* Asks three times as often as it may. */
	taken = flood(&b, TSC_HZ, start, 10, amount_max, TSC_HZ / rate * amount_max / 3);
	assert_in_range(taken, 10 * rate - rate / 100 - amount_max,
			10 * rate + burst + amount_max);
	assert_true(burst <= rate / 200); /* so that the bound above is within 1 % */
}

static void test_rates_hold_for_ten_seconds(void **unused)
{
	static const uint64_t starts[] = { 0, 12345678901ull, 1ull << 62 };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		expect_rate(10000000 / 8, 6000, 1514, starts[i]);
		expect_rate(100000000 / 8, 62500, 1514, starts[i]);
		expect_rate(1000, 5, 1, starts[i]);
	}
}

static void test_no_drift(void **unused)
{
	(void)unused;
	/* A day of single units: the last digit is right. */
	for (size_t h = 0; h < ARRAY_SIZE(hzs); h++) {
		struct bucket b;
		uint64_t now = 987654321, taken = 0, when;
		uint64_t day = 86400, end = now + day * hzs[h];

		bucket_init(&b, 7, 1, hzs[h]);
		while (now <= end) {
			when = bucket_take(&b, now, 1);
			if (when)
				now = when;
			else
				taken++;
		}
		assert_in_range(taken, day * 7, day * 7 + 1);
	}
}

static void test_the_tick_it_tells_is_the_first(void **unused)
{
	(void)unused;
	for (size_t h = 0; h < ARRAY_SIZE(hzs); h++) {
		for (size_t r = 0; r < ARRAY_SIZE(rates); r++) {
			struct bucket b, copy;
			uint64_t now = random_below(1ull << 40);

			bucket_init(&b, rates[r], 1 + rates[r] / 8, hzs[h]);
			for (int i = 0; i < 2000; i++) {
				uint64_t amount = 1 + random_below(1 + rates[r] / 4), when;

				when = bucket_take(&b, now, amount);
				if (when) {
					copy = b;
					assert_true(bucket_take(&copy, when - 1, amount) != 0);
					assert_true(bucket_take(&copy, when - 1, amount) == when);
					assert_true(bucket_take(&copy, when, amount) == 0);
					now = when - random_below(2);
				}
				now += random_below(hzs[h] / 16);
			}
		}
	}
}

static void test_never_more_than_burst_and_rate(void **unused)
{
	(void)unused;
	for (size_t h = 0; h < ARRAY_SIZE(hzs); h++) {
		for (size_t r = 0; r < ARRAY_SIZE(rates); r++) {
			uint64_t start = random_below(1ull << 44), burst = 1 + rates[r] / 10, taken;
			struct bucket b;

			bucket_init(&b, rates[r], burst, hzs[h]);
			taken = flood(&b, hzs[h], start, 3, burst, hzs[h] / 1000);
			assert_true(taken <= 3 * rates[r] + burst + 1);
			assert_true(taken + burst >= 3 * rates[r] - rates[r] / 100);
		}
	}
}

static void test_larger_than_the_burst(void **unused)
{
	struct bucket b;
	uint64_t when;

	(void)unused;
	bucket_init(&b, 1000, 10, 1000000); /* a unit each 1,000 ticks */
	assert_true(bucket_take(&b, 0, 50) == 0);
	when = bucket_take(&b, 0, 1);
	assert_true(when == 41000);
	/* Another large one waits until all is paid and the bucket is full. */
	assert_true(bucket_take(&b, 0, 50) == 50000);
	assert_true(bucket_take(&b, 0, UINT64_MAX) == 50000);
	assert_true(bucket_take(&b, 50000, 50) == 0);
	assert_true(bucket_take(&b, 50000, 10) == 100000);
}

static void test_unlimited(void **unused)
{
	struct bucket b;

	(void)unused;
	bucket_init(&b, 0, 0, TSC_HZ);
	for (uint64_t now = 0; now < 100; now++)
		assert_true(bucket_take(&b, now, UINT64_MAX) == 0);
}

static void test_extremes(void **unused)
{
	/* 12 years between them; numbers of units wrap on the way. */
	static const uint64_t nows[] = { 0, 1ull << 32, 1ull << 60, 2ull << 60, 3ull << 60,
					 4ull << 60, 5ull << 60, 15ull << 60 };

	(void)unused;
	for (size_t r = 0; r < ARRAY_SIZE(rates); r++) {
		struct bucket b;

		/* Any amount at any gap: full after it, and never told a tick in the past. */
		bucket_init(&b, rates[r], rates[r], TSC_HZ);
		for (size_t i = 0; i < ARRAY_SIZE(nows) - (rates[r] > GBIT); i++) {
			assert_true(bucket_take(&b, nows[i], rates[r]) == 0);
			assert_true(bucket_take(&b, nows[i], UINT64_MAX) > nows[i]);
		}
	}
	for (size_t r = 0; r < ARRAY_SIZE(rates); r++) {
		struct bucket b;
		uint64_t now = 1ull << 50, when;

		bucket_init(&b, rates[r], UINT64_MAX, TSC_HZ);
		assert_true(bucket_take(&b, now, UINT64_MAX) == 0);
		when = bucket_take(&b, now, 1);
		assert_true(when > now);
		assert_true(bucket_take(&b, when, 1) == 0);
	}
}

static void test_fast_clock_and_high_rate_saturate(void **unused)
{
	struct bucket b;

	(void)unused;
	bucket_init(&b, UINT64_MAX, 0, 1000000);
	assert_true(b.mul != 0 && b.burst == 1);
	assert_true(bucket_take(&b, 5, 1) == 0);
	assert_true(bucket_take(&b, 5, 1) == 6);
	/* The end of time is said, not wrapped around. */
	bucket_init(&b, 1, 1, TSC_HZ);
	assert_true(bucket_take(&b, UINT64_MAX - 5, 1) == 0);
	assert_true(bucket_take(&b, UINT64_MAX - 5, 1) == UINT64_MAX);
}

static void test_time_a_little_back(void **unused)
{
	struct bucket b;

	(void)unused;
	bucket_init(&b, 1000, 10, 1000000);
	assert_true(bucket_take(&b, 1000000, 10) == 0);
	/* A CPU whose clock is 1.5 units behind gets nothing for it. */
	assert_true(bucket_take(&b, 998500, 1) == 1001000);
	assert_true(bucket_take(&b, 1000500, 1) == 1001000);
}

static void test_give_back(void **unused)
{
	struct bucket b;

	(void)unused;
	bucket_init(&b, 1000, 10, 1000000);
	assert_true(bucket_take(&b, 0, 7) == 0);
	bucket_give(&b, 7);
	assert_true(bucket_take(&b, 0, 10) == 0);
	bucket_give(&b, 3);
	assert_true(bucket_take(&b, 0, 4) == 1000);
	assert_true(bucket_take(&b, 0, 3) == 0);
}

static bool refuse(struct bucket *b, uint64_t now, uint64_t amount)
{
	uint64_t when = bucket_take(b, now, amount);

	assert_true(when != 0);
	return bucket_crossed(b, now, when);
}

static void test_crossing_is_told_once(void **unused)
{
	struct bucket b;
	uint64_t now = 77, when;

	(void)unused;
	bucket_init(&b, 1000, 10, 1000000); /* 10,000 ticks fill it */
	assert_true(bucket_take(&b, now, 10) == 0);
	assert_true(refuse(&b, now, 1));
	for (int i = 0; i < 1000; i++) {
		when = bucket_take(&b, now, 1);
		if (when) {
			assert_false(bucket_crossed(&b, now, when));
			now = when;
		}
	}
	/* Waiting out a debt longer than the burst is no pause. */
	now += 10000;
	assert_true(bucket_take(&b, now, 200) == 0);
	assert_false(refuse(&b, now, 10));
	now = bucket_take(&b, now, 10);
	assert_true(bucket_take(&b, now, 10) == 0);
	assert_false(refuse(&b, now, 1));
	/* A pause is. */
	now += 13000;
	assert_true(bucket_take(&b, now, 10) == 0);
	assert_true(refuse(&b, now, 1));
	assert_false(refuse(&b, now, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates_hold_for_ten_seconds),
		cmocka_unit_test(test_no_drift),
		cmocka_unit_test(test_the_tick_it_tells_is_the_first),
		cmocka_unit_test(test_never_more_than_burst_and_rate),
		cmocka_unit_test(test_larger_than_the_burst),
		cmocka_unit_test(test_unlimited),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_fast_clock_and_high_rate_saturate),
		cmocka_unit_test(test_time_a_little_back),
		cmocka_unit_test(test_give_back),
		cmocka_unit_test(test_crossing_is_told_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
