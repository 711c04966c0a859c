/* UNIT: security/quota.c kernel/lib/bucket.c kernel/lib/muldiv.c */
/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas: both allowances or none, space, what is told and counted, several takers at once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "security/policy.h"
#include "security/quota.h"
#include "tests/host/fake_panic.h"

#define HZ 1000000ull

static void test_unlimited(void **state)
{
	static const struct quota_limits none;
	struct quota q;

	(void)state;
	quota_init(&q, &none, HZ);
	for (int i = 0; i < 1000; i++) {
		assert_true(quota_check(&q, 0, 1, UINT64_MAX) == 0);
		assert_int_equal(quota_charge(&q, 1ull << 50), 0);
	}
	assert_int_equal(quota_crossed(&q), 0);
	assert_int_equal(q.throttles, 0);
	assert_true(quota_in_use(&q) == 1000ull << 50);
}

static void test_both_or_none(void **state)
{
	static const struct quota_limits limits = {
		.ops_per_second = 1000, .ops_burst = 10, .bytes_per_second = 1000000,
		.bytes_burst = 4096,
	};
	struct quota q;

	(void)state;
	quota_init(&q, &limits, HZ);
	assert_true(quota_check(&q, 0, 1, 4096) == 0);
	/* Nine operations are left; refused bytes do not use them up. */
	for (int i = 0; i < 20; i++)
		assert_true(quota_check(&q, 0, 1, 4096) == 4096);
	assert_true(quota_check(&q, 0, 9, 0) == 0);
	assert_true(quota_check(&q, 0, 1, 0) == 1000);
	assert_int_equal(q.throttles, 21);
	assert_int_equal(quota_crossed(&q), QUOTA_OPS | QUOTA_BYTES);
	assert_int_equal(quota_crossed(&q), 0);
}

static void test_default_burst_is_a_tenth_of_a_second(void **state)
{
	static const struct quota_limits limits = { .ops_per_second = 1000 };
	struct quota q;

	(void)state;
	quota_init(&q, &limits, HZ);
	assert_true(quota_check(&q, 0, 100, 1ull << 40) == 0);
	assert_true(quota_check(&q, 0, 1, 0) == 1000);
}

static void test_change(void **state)
{
	static const struct quota_limits slow = { .ops_per_second = 10, .bytes_in_use = 100 };
	static const struct quota_limits fast = { .ops_per_second = 1000, .bytes_in_use = 50 };
	struct quota q;

	(void)state;
	quota_init(&q, &slow, HZ);
	assert_int_equal(quota_charge(&q, 80), 0);
	assert_true(quota_check(&q, 0, 1, 0) == 0);
	assert_true(quota_check(&q, 0, 1, 0) == 100000);
	quota_set(&q, &fast, HZ);
	assert_true(quota_check(&q, 0, 100, 0) == 0);
	assert_int_equal(q.throttles, 1);
	/* Over the new limit: nothing is taken away, nothing added. */
	assert_int_equal(quota_charge(&q, 1), -RAY_ENOSPC);
	quota_uncharge(&q, 40);
	assert_int_equal(quota_charge(&q, 11), -RAY_ENOSPC);
	assert_int_equal(quota_charge(&q, 10), 0);
}

static void test_space(void **state)
{
	static const struct quota_limits limits = { .bytes_in_use = 1600 };
	struct quota q;

	(void)state;
	quota_init(&q, &limits, HZ);
	assert_int_equal(quota_charge(&q, UINT64_MAX), -RAY_ENOSPC);
	assert_int_equal(quota_crossed(&q), QUOTA_SPACE);
	quota_uncharge(&q, 0);
	assert_int_equal(quota_charge(&q, 1600), 0);
	assert_int_equal(quota_charge(&q, 0), 0);
	assert_int_equal(quota_charge(&q, 1), -RAY_ENOSPC);
	assert_int_equal(quota_crossed(&q), QUOTA_SPACE);
	/* To and fro at the limit is not told again. */
	for (int i = 0; i < 10; i++) {
		quota_uncharge(&q, 100);
		assert_int_equal(quota_charge(&q, 101), -RAY_ENOSPC);
		assert_int_equal(quota_charge(&q, 100), 0);
	}
	assert_int_equal(quota_crossed(&q), 0);
	quota_uncharge(&q, 101);
	assert_int_equal(quota_charge(&q, 102), -RAY_ENOSPC);
	assert_int_equal(quota_crossed(&q), QUOTA_SPACE);
	assert_int_equal(q.denials, 13);
	quota_uncharge(&q, 1499);
	assert_int_equal(quota_in_use(&q), 0);
	EXPECT_PANIC(quota_uncharge(&q, 1));
}

#define THREADS 4
#define ROUNDS  50000

static struct quota shared;
static uint64_t taken[THREADS], charged[THREADS];

static void *hammer(void *arg)
{
	uint64_t *mine = arg;
	size_t me = (size_t)(mine - taken);

	for (uint64_t i = 0; i < ROUNDS; i++) {
		if (quota_check(&shared, i, 1, 3) == 0)
			(*mine)++;
		if (quota_charge(&shared, 7) == 0)
			charged[me]++;
		if (i % 64 == 63) {
			quota_uncharge(&shared, 7 * charged[me]);
			charged[me] = 0;
		}
	}
	return NULL;
}

static void test_takers_at_once(void **state)
{
	static const struct quota_limits limits = {
		.ops_per_second = 1000000, .ops_burst = 1000, .bytes_per_second = 300000,
		.bytes_burst = 3000, .bytes_in_use = 7 * 100,
	};
	pthread_t threads[THREADS];
	uint64_t sum = 0, space = 0;

	(void)state;
	quota_init(&shared, &limits, HZ);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, &taken[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		sum += taken[i];
		space += 7 * charged[i];
	}
	/* 50 ms at 100,000 operations a second (300,000 bytes), and 1,000 at once. */
	assert_in_range(sum, 5000, 6000);
	assert_int_equal(quota_in_use(&shared), space);
}

static void test_policy_allows(void **state)
{
	(void)state;
	for (unsigned int d = 0; d < POLICY_DEVICES; d++)
		for (unsigned int v = 0; v < POLICY_VERBS; v++)
			assert_true(policy_allows(&(struct policy_op){
				.vm = 1, .device = (uint8_t)d, .verb = (uint8_t)v, .amount = 1 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unlimited),
		cmocka_unit_test(test_both_or_none),
		cmocka_unit_test(test_default_burst_is_a_tenth_of_a_second),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_space),
		cmocka_unit_test(test_takers_at_once),
		cmocka_unit_test(test_policy_allows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
