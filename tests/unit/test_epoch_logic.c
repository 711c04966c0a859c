/* UNIT: */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/sched/epoch_logic.h"

static void test_nesting(void **state)
{
	uint64_t w = 0;

	(void)state;
	w = epoch_word_enter(w, EPOCH_WORD(7));
	assert_true(epoch_word_blocks(w, EPOCH_WORD(7)));
	/* An inner section does not take over a newer epoch. */
	w = epoch_word_enter(w, EPOCH_WORD(9));
	assert_true(epoch_word_blocks(w, EPOCH_WORD(7)));
	w = epoch_word_leave(w);
	assert_true(w != 0);
	w = epoch_word_leave(w);
	assert_true(w == 0);
}

static void test_who_blocks(void **state)
{
	uint64_t w = epoch_word_enter(0, EPOCH_WORD(5));

	(void)state;
	assert_false(epoch_word_blocks(0, EPOCH_WORD(100)));
	assert_false(epoch_word_blocks(w, EPOCH_WORD(4))); /* retired before it came */
	assert_true(epoch_word_blocks(w, EPOCH_WORD(5)));
	assert_true(epoch_word_blocks(w, EPOCH_WORD(6)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_who_blocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
