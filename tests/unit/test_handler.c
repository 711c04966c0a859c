/* UNIT: devices/virt/handler.c security/quota.c kernel/lib/bucket.c kernel/lib/muldiv.c */
// SPDX-License-Identifier: Apache-2.0
/* Counters, latency and limits of an attachment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virt/handler.h"
#include "tests/host/fake_panic.h"

#define HZ 1000000000ull /* a tick is a nanosecond */

static struct vhandler h;

uint64_t time_tsc_hz(void)
{
	return HZ;
}

uint64_t time_tsc_to_ns(uint64_t tsc)
{
	return tsc;
}

static int setup(void **state)
{
	(void)state;
	fake_tsc = 0;
	vhandler_init(&h, 7, POLICY_BLK, 2);
	return 0;
}

/* @n operations that took @ticks each. */
static void took(unsigned int n, uint64_t ticks)
{
	while (n-- > 0)
		vhandler_done(&h, POLICY_READ, 10, fake_tsc - ticks, true);
}

static void test_counts(void **state)
{
	struct vhandler_count sum;

	(void)state;
	vhandler_done(&h, POLICY_READ, 512, 0, true);
	vhandler_done(&h, POLICY_READ, 512, 0, false);
	vhandler_done(&h, POLICY_FLUSH, 0, 0, true);
	assert_int_equal(h.count[POLICY_READ].ops, 2);
	assert_int_equal(h.count[POLICY_READ].bytes, 1024);
	assert_int_equal(h.count[POLICY_READ].errors, 1);
	assert_int_equal(vhandler_refuse(&h, POLICY_WRITE), VHANDLER_DENIED);
	sum = vhandler_total(&h);
	assert_int_equal(sum.ops, 3);
	assert_int_equal(sum.bytes, 1024);
	assert_int_equal(sum.errors, 2);
	assert_int_equal(h.denied, 1);
}

static void test_percentiles(void **state)
{
	(void)state;
	assert_int_equal(vhandler_percentile(&h, 500), 0); /* nothing yet */
	fake_tsc = 1ull << 50;
	took(500, 100);   /* 64 to 127: at most 128 */
	took(400, 1000);  /* at most 1024 */
	took(90, 5000);   /* at most 8192 */
	took(9, 100000);  /* at most 131072 */
	took(1, 1ull << 30);
	assert_int_equal(vhandler_percentile(&h, 1), 128);
	assert_int_equal(vhandler_percentile(&h, 500), 128);
	assert_int_equal(vhandler_percentile(&h, 501), 1024);
	assert_int_equal(vhandler_percentile(&h, 900), 1024);
	assert_int_equal(vhandler_percentile(&h, 990), 8192);
	assert_int_equal(vhandler_percentile(&h, 999), 131072);
	assert_int_equal(vhandler_percentile(&h, 1000), 1ull << 31);
}

static void test_ends_of_the_histogram(void **state)
{
	(void)state;
	fake_tsc = 1ull << 60;
	took(1, 0);
	assert_int_equal(vhandler_percentile(&h, 1000), 1);
	took(1, 1ull << 55); /* longer than it has buckets for */
	assert_int_equal(vhandler_percentile(&h, 1000), 1ull << (VHANDLER_BUCKETS - 1));
	assert_int_equal(h.latency[VHANDLER_BUCKETS - 1], 1);
}

static void test_limits(void **state)
{
	const struct quota_limits limits = {.ops_per_second = 10, .ops_burst = 2};
	uint64_t when;

	(void)state;
	assert_int_equal(vhandler_admit(&h, POLICY_READ, 1ull << 40, 0, &when), VHANDLER_GO);
	vhandler_limit(&h, &limits);
	assert_int_equal(vhandler_admit(&h, POLICY_READ, 1, HZ, &when), VHANDLER_GO);
	assert_int_equal(vhandler_admit(&h, POLICY_READ, 1, HZ, &when), VHANDLER_GO);
	assert_int_equal(vhandler_admit(&h, POLICY_READ, 1, HZ, &when), VHANDLER_WAIT);
	assert_in_range(when, HZ + HZ / 10 - 10, HZ + HZ / 10 + 10);
	assert_int_equal(vhandler_admit(&h, POLICY_READ, 1, when, &when), VHANDLER_GO);
	assert_int_equal(h.quota.throttles, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_counts, setup),
		cmocka_unit_test_setup(test_percentiles, setup),
		cmocka_unit_test_setup(test_ends_of_the_histogram, setup),
		cmocka_unit_test_setup(test_limits, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
