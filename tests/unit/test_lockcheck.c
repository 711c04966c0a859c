/* UNIT: */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/sched/lockcheck.h"

static void test_rising_order_passes(void **state)
{
	struct lockcheck c = { .count = 0 };

	(void)state;
	assert_int_equal(lockcheck_add(&c, 10), 0);
	assert_int_equal(lockcheck_add(&c, 20), 0);
	assert_int_equal(lockcheck_add(&c, 0), 0);
	assert_true(lockcheck_del(&c, 20));
	assert_true(lockcheck_del(&c, 0));
	assert_true(lockcheck_del(&c, 10));
	assert_int_equal(c.count, 0);
}

static void test_inversion_names_the_held_lock(void **state)
{
	struct lockcheck c = { .count = 0 };

	(void)state;
	assert_int_equal(lockcheck_add(&c, 30), 0);
	assert_int_equal(lockcheck_add(&c, 20), 30);
	assert_int_equal(lockcheck_add(&c, 30), 30);
}

static void test_release_out_of_order(void **state)
{
	struct lockcheck c = { .count = 0 };

	(void)state;
	assert_int_equal(lockcheck_add(&c, 10), 0);
	assert_int_equal(lockcheck_add(&c, 20), 0);
	assert_true(lockcheck_del(&c, 10));
	assert_false(lockcheck_del(&c, 10));
	assert_int_equal(lockcheck_add(&c, 15), 20);
	assert_int_equal(lockcheck_add(&c, 25), 0);
}

static void test_full(void **state)
{
	struct lockcheck c = { .count = 0 };

	(void)state;
	for (uint16_t i = 1; i <= LOCKCHECK_DEPTH; i++)
		assert_int_equal(lockcheck_add(&c, i), 0);
	assert_int_equal(lockcheck_add(&c, 100), LOCKCHECK_FULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rising_order_passes),
		cmocka_unit_test(test_inversion_names_the_held_lock),
		cmocka_unit_test(test_release_out_of_order),
		cmocka_unit_test(test_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
