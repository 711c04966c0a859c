/* UNIT: boot/tcglog.c */
// SPDX-License-Identifier: Apache-2.0
/* boot/tcglog.c: whole entries are measured, every shortened or lying one gives 0. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot/tcglog.h"
#include "kernel/lib/err.h"

#define SHA1   0x0004
#define SHA256 0x000b
#define HEAD   32u /* PCR, type, digest, length */

/* The first entry of a log with SHA-1 and SHA-256 banks. */
static const uint8_t spec_id[] = {
	0, 0, 0, 0, 3, 0, 0, 0, /* PCR 0, EV_NO_ACTION */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 37, 0, 0, 0,
	'S', 'p', 'e', 'c', ' ', 'I', 'D', ' ', 'E', 'v', 'e', 'n', 't', '0', '3', 0,
	0, 0, 0, 0, 0, 2, 0, 2, 2, 0, 0, 0, SHA1, 0, 20, 0, SHA256, 0, 32, 0, 0,
};
_Static_assert(sizeof(spec_id) == HEAD + 37, "event length");

static uint64_t size2(const struct tcglog_algs *algs, const uint8_t *entry, size_t avail)
{
	uint8_t *copy = malloc(avail ? avail : 1);
	uint64_t n;

	assert_non_null(copy);
	memcpy(copy, entry, avail);
	n = tcglog_entry2_size(algs, copy, avail);
	free(copy);
	return n;
}

static void test_first_entry(void **state)
{
	struct tcglog_algs algs;

	(void)state;
	assert_int_equal(tcglog_entry_size(spec_id, sizeof(spec_id)), sizeof(spec_id));
	assert_int_equal(tcglog_algs_read(spec_id, sizeof(spec_id), &algs), 0);
	assert_int_equal(algs.count, 2);
	assert_int_equal(algs.alg[0].id, SHA1);
	assert_int_equal(algs.alg[0].size, 20);
	assert_int_equal(algs.alg[1].id, SHA256);
	assert_int_equal(algs.alg[1].size, 32);
	for (size_t n = 0; n < sizeof(spec_id); n++) {
		uint8_t *copy = malloc(n ? n : 1);

		assert_non_null(copy);
		memcpy(copy, spec_id, n);
		assert_int_equal(tcglog_entry_size(copy, n), 0);
		assert_int_equal(tcglog_algs_read(copy, n, &algs), -RAY_EPROTO);
		free(copy);
	}
}

static void test_lying_first_entry(void **state)
{
	struct tcglog_algs algs;
	uint8_t e[sizeof(spec_id)];

	(void)state;
	memcpy(e, spec_id, sizeof(e));
	e[HEAD] = 'X';
	assert_int_equal(tcglog_algs_read(e, sizeof(e), &algs), -RAY_EPROTO);
	memcpy(e, spec_id, sizeof(e));
	e[HEAD + 24] = 0; /* no algorithm */
	assert_int_equal(tcglog_algs_read(e, sizeof(e), &algs), -RAY_EPROTO);
	e[HEAD + 24] = 3; /* more than the event holds */
	assert_int_equal(tcglog_algs_read(e, sizeof(e), &algs), -RAY_EPROTO);
	e[HEAD + 24] = 200;
	assert_int_equal(tcglog_algs_read(e, sizeof(e), &algs), -RAY_EPROTO);
	e[28] = 0xff; /* event longer than what is there */
	assert_int_equal(tcglog_entry_size(e, sizeof(e)), 0);
	assert_int_equal(tcglog_algs_read(e, sizeof(e), &algs), -RAY_EPROTO);
}

/* More algorithms than there is room for, all of them really there. */
static void test_too_many_algorithms(void **state)
{
	struct tcglog_algs algs;
	uint8_t e[HEAD + 28 + 17 * 4 + 1] = {0}, many[12 + 17 * 22 + 4] = {0};

	(void)state;
	memcpy(e, spec_id, HEAD + 28);
	e[28] = sizeof(e) - HEAD;
	e[HEAD + 24] = 17;
	assert_int_equal(tcglog_algs_read(e, sizeof(e), &algs), -RAY_EPROTO);
	e[HEAD + 24] = 16;
	assert_int_equal(tcglog_algs_read(e, sizeof(e), &algs), 0);
	assert_int_equal(tcglog_algs_read(spec_id, sizeof(spec_id), &algs), 0);
	for (size_t i = 0; i < 17; i++)
		many[12 + i * 22] = SHA1;
	many[8] = 17;
	assert_int_equal(size2(&algs, many, sizeof(many)), 0);
	many[8] = 16;
	assert_int_equal(size2(&algs, many, sizeof(many)), 12 + 16 * 22 + 4 + SHA1);
}

static void test_agile_entry(void **state)
{
	struct tcglog_algs algs;
	uint8_t e[12 + 2 + 20 + 2 + 32 + 4 + 5] = {4, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0};

	(void)state;
	assert_int_equal(tcglog_algs_read(spec_id, sizeof(spec_id), &algs), 0);
	e[12] = SHA1;
	e[12 + 22] = SHA256;
	e[12 + 22 + 34] = 5;
	assert_int_equal(size2(&algs, e, sizeof(e)), sizeof(e));
	for (size_t n = 0; n < sizeof(e); n++)
		assert_int_equal(size2(&algs, e, n), 0);
	e[12] = 0x0c; /* SHA-384, not in this log */
	assert_int_equal(size2(&algs, e, sizeof(e)), 0);
	e[12] = SHA1;
	e[8] = 17;
	assert_int_equal(size2(&algs, e, sizeof(e)), 0);
	e[8] = 2;
	memset(e + 12 + 22 + 34, 0xff, 4);
	assert_int_equal(size2(&algs, e, sizeof(e)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_entry),
		cmocka_unit_test(test_lying_first_entry),
		cmocka_unit_test(test_too_many_algorithms),
		cmocka_unit_test(test_agile_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
