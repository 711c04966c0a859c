/* UNIT: security/drbg.c security/entropy.c security/mbedtls_port.c */
/* SPDX-License-Identifier: Apache-2.0 */
/* The generator over sources that are there, fail, stick, or are missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <mbedtls/ctr_drbg.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/features.h"
#include "kernel/bootinfo.h"
#include "security/drbg.h"
#include "security/entropy.h"
#include "tests/host/fake_heap.h"
#include "tests/host/fake_log.h"
#include "tests/host/fake_thread.h"

#define READS_PER_SEED MBEDTLS_CTR_DRBG_RESEED_INTERVAL

static struct cpu_features features;
static const uint8_t *boot_seed; /* NULL: none */
static uint8_t seed_a[BOOT_SEED_LEN], seed_b[BOOT_SEED_LEN];

const struct cpu_features *cpu_features(void)
{
	return &features;
}

int bootinfo_seed_take(uint8_t seed[BOOT_SEED_LEN])
{
	if (!boot_seed)
		return -RAY_ENOENT;
	memcpy(seed, boot_seed, BOOT_SEED_LEN);
	boot_seed = NULL;
	return 0;
}

/* A source with a number for each call; the same sequence after counting_reset(). */
static uint64_t counting, words_asked;

static bool counting_word(uint64_t *out)
{
	words_asked++;
	*out = ++counting * 0x9e3779b97f4a7c15ull;
	return true;
}

static bool empty_word(uint64_t *out)
{
	words_asked++;
	*out = 0x1234;
	return false;
}

/* Has a number every third time only. */
static bool slow_word(uint64_t *out)
{
	return words_asked % 3 == 2 ? counting_word(out) : empty_word(out);
}

static bool ones_word(uint64_t *out)
{
	*out = UINT64_MAX;
	return true;
}

static bool zero_word(uint64_t *out)
{
	*out = 0;
	return true;
}

static bool same_word(uint64_t *out)
{
	*out = 0x0123456789abcdefull;
	return true;
}

static void machine(bool (*rdseed)(uint64_t *), bool (*rdrand)(uint64_t *), const uint8_t *seed)
{
	counting = words_asked = 0;
	features = (struct cpu_features){ .rdseed = rdseed != NULL, .rdrand = rdrand != NULL };
	fake_rdseed_hook = rdseed;
	fake_rdrand_hook = rdrand;
	boot_seed = seed;
}

static struct drbg_stats stats(void)
{
	struct drbg_stats st;

	drbg_stats_get(&st);
	return st;
}

static void expect_blocked(void)
{
	uint8_t buf[600], zero[600] = { 0 };
	uint64_t before = stats().blocked;

	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(drbg_read(buf, sizeof(buf)), -RAY_EAGAIN);
	assert_memory_equal(buf, zero, sizeof(buf));
	assert_false(drbg_ready());
	assert_int_equal(stats().blocked, before + 1);
}

static void expect_output(uint8_t *buf, size_t len)
{
	memset(buf, 0, len);
	assert_int_equal(drbg_read(buf, len), 0);
	assert_true(drbg_ready());
	for (size_t i = 0; i + 8 <= len; i += 8)
		assert_true(memcmp(buf + i, (uint8_t[8]){ 0 }, 8) != 0);
}

/* Up to the point where the next read has to seed. */
static void use_up_the_seed(void)
{
	uint64_t seedings = stats().seedings;
	uint8_t b;

	for (int i = 0; i < READS_PER_SEED + 2 && words_asked != UINT64_MAX; i++) {
		if (drbg_read(&b, 1) || stats().seedings != seedings)
			return;
	}
	fail_msg("it is never seeded again");
}

static void test_no_source_blocks(void **state)
{
	(void)state;
	machine(NULL, NULL, NULL);
	assert_int_equal(drbg_init(), -RAY_EAGAIN);
	assert_true(stats().answers_right);
	expect_blocked();
	expect_blocked();
	assert_int_equal(stats().bytes, 0);
	assert_int_equal(stats().seedings, 0);
	assert_false(stats().boot_seed);
}

static void test_rdrand_that_fails_blocks_until_it_works(void **state)
{
	uint8_t buf[64];

	(void)state;
	machine(NULL, empty_word, NULL);
	assert_int_equal(drbg_init(), -RAY_EAGAIN);
	expect_blocked();
	assert_int_equal(entropy_source(1)->refusals, 2);
	assert_int_equal(words_asked, 20);
	fake_rdrand_hook = counting_word;
	expect_output(buf, sizeof(buf));
	assert_int_equal(stats().seedings, 1);
}

static void test_rdrand_that_is_slow_works(void **state)
{
	uint8_t buf[64];

	(void)state;
	machine(NULL, slow_word, NULL);
	assert_int_equal(drbg_init(), 0);
	expect_output(buf, sizeof(buf));
	assert_int_equal(entropy_source(1)->refusals, 0);
}

static void test_stuck_sources_are_left(void **state)
{
	static bool (*const stuck[])(uint64_t *) = { ones_word, zero_word, same_word };
	uint8_t buf[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(stuck); i++) {
		machine(NULL, stuck[i], NULL);
		assert_int_equal(drbg_init(), -RAY_EAGAIN);
		assert_true(entropy_source(1)->stuck);
		/* For good. */
		fake_rdrand_hook = counting_word;
		expect_blocked();
		/* The other one takes over. */
		machine(counting_word, stuck[i], NULL);
		assert_int_equal(drbg_init(), 0);
		assert_true(entropy_source(1)->stuck && !entropy_source(0)->stuck);
		expect_output(buf, sizeof(buf));
	}
}

static bool turns_stuck_word(uint64_t *out)
{
	counting_word(out);
	if (words_asked > 20)
		*out = 7;
	return true;
}

static void test_stuck_while_running(void **state)
{
	uint8_t buf[64];

	(void)state;
	machine(NULL, turns_stuck_word, NULL);
	assert_int_equal(drbg_init(), 0);
	expect_output(buf, sizeof(buf));
	use_up_the_seed();
	expect_blocked();
	assert_true(entropy_source(1)->stuck);
}

/* One bad word among good ones is enough. */
static uint64_t bad_word;

static bool once_bad_word(uint64_t *out)
{
	counting_word(out);
	if (words_asked == 9)
		*out = bad_word;
	return true;
}

static void test_one_bad_word_is_enough(void **state)
{
	static const uint64_t bad[] = { 0, UINT64_MAX, 8 * 0x9e3779b97f4a7c15ull };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		machine(NULL, once_bad_word, NULL);
		bad_word = bad[i];
		assert_int_equal(drbg_init(), -RAY_EAGAIN);
		assert_true(entropy_source(1)->stuck);
	}
}

static bool flag_word(uint64_t *out)
{
	words_asked++;
	*out = 1ull << (words_asked % 64);
	return true;
}

static void test_sources_are_mixed(void **state)
{
	uint64_t words[ENTROPY_WORDS];

	(void)state;
	machine(counting_word, flag_word, NULL);
	entropy_init();
	assert_true(entropy_gather(words));
	/* Each source is asked for one word more than it gives. */
	for (uint64_t i = 0; i < ENTROPY_WORDS; i++)
		assert_true(words[i] == (((i + 1) * 0x9e3779b97f4a7c15ull) ^
					 (1ull << (i + ENTROPY_WORDS + 2))));
}

/* The word that is kept to compare with must not be one that a seed was made of. */
static void test_kept_word_is_not_in_the_seed(void **state)
{
	uint64_t words[ENTROPY_WORDS];

	(void)state;
	machine(NULL, counting_word, NULL);
	entropy_init();
	assert_true(entropy_gather(words));
	for (size_t i = 0; i < ENTROPY_WORDS; i++)
		assert_true(words[i] != entropy_source(1)->last);
	assert_int_equal(entropy_source(1)->bytes, sizeof(words));
}

static void output_of(bool (*rdseed)(uint64_t *), bool (*rdrand)(uint64_t *), const uint8_t *seed,
		      uint8_t out[64])
{
	machine(rdseed, rdrand, seed);
	assert_int_equal(drbg_init(), 0);
	expect_output(out, 64);
}

static void test_every_source_counts(void **state)
{
	uint8_t a[64], b[64];

	(void)state;
	/* Same sources, same output: so a difference below comes from the source. */
	output_of(NULL, counting_word, NULL, a);
	output_of(NULL, counting_word, NULL, b);
	assert_memory_equal(a, b, 64);
	output_of(NULL, counting_word, seed_a, b);
	assert_memory_not_equal(a, b, 64);
	output_of(NULL, counting_word, seed_b, a);
	assert_memory_not_equal(a, b, 64);
	output_of(counting_word, counting_word, NULL, b);
	assert_memory_not_equal(a, b, 64);
	output_of(counting_word, counting_word, seed_b, a);
	assert_memory_not_equal(a, b, 64);
	output_of(NULL, NULL, seed_a, b);
	assert_memory_not_equal(a, b, 64);
	output_of(NULL, NULL, seed_b, a);
	assert_memory_not_equal(a, b, 64);
}

/* What the library gives for the very same input: it is CTR_DRBG and nothing of ours. */
static int known_input(void *unused, unsigned char *out, size_t len)
{
	(void)unused;
	memset(out, 0, len);
	memcpy(out, seed_a, BOOT_SEED_LEN);
	return 0;
}

static void test_output_is_the_librarys(void **state)
{
	mbedtls_ctr_drbg_context ctx;
	uint8_t ours[64], theirs[64], ignored[BOOT_SEED_LEN];

	(void)state;
	output_of(NULL, NULL, seed_a, ours);
	mbedtls_ctr_drbg_init(&ctx);
	mbedtls_ctr_drbg_set_entropy_len(&ctx, 128);
	assert_int_equal(mbedtls_ctr_drbg_seed(&ctx, known_input, NULL, NULL, 0), 0);
	/* The empty read of drbg_init(), and the piece kept apart. */
	assert_int_equal(mbedtls_ctr_drbg_random(&ctx, theirs, 0), 0);
	assert_int_equal(mbedtls_ctr_drbg_random(&ctx, ignored, sizeof(ignored)), 0);
	assert_int_equal(mbedtls_ctr_drbg_random(&ctx, theirs, sizeof(theirs)), 0);
	assert_memory_equal(ours, theirs, sizeof(ours));
	mbedtls_ctr_drbg_free(&ctx);
}

static void test_seeded_again_in_time(void **state)
{
	uint64_t asked;

	(void)state;
	machine(NULL, counting_word, NULL);
	assert_int_equal(drbg_init(), 0);
	asked = words_asked;
	for (int i = 1; i <= 3; i++) {
		use_up_the_seed();
		assert_int_equal(stats().seedings, 1 + i);
		assert_int_equal(words_asked, asked * (uint64_t)(1 + i));
	}
}

static void test_blocked_when_seeding_again_fails(void **state)
{
	uint8_t buf[64];

	(void)state;
	machine(NULL, counting_word, NULL);
	assert_int_equal(drbg_init(), 0);
	fake_rdrand_hook = empty_word;
	expect_output(buf, sizeof(buf));
	use_up_the_seed();
	expect_blocked();
	fake_rdrand_hook = counting_word;
	expect_output(buf, sizeof(buf));
	assert_int_equal(stats().seedings, 2);
}

static void test_boot_seed_alone_carries_on(void **state)
{
	uint8_t first[64], later[64];

	(void)state;
	output_of(NULL, NULL, seed_a, first);
	assert_true(stats().boot_seed);
	for (int i = 0; i < 3; i++) {
		use_up_the_seed();
		assert_int_equal(stats().seedings, 2 + i);
		expect_output(later, sizeof(later));
		assert_memory_not_equal(first, later, sizeof(first));
		memcpy(first, later, sizeof(first));
	}
}

static void test_boot_seed_of_equal_bytes_is_none(void **state)
{
	static const uint8_t flat[BOOT_SEED_LEN] = { 0 };

	(void)state;
	machine(NULL, NULL, flat);
	assert_int_equal(drbg_init(), -RAY_EAGAIN);
	assert_false(stats().boot_seed);
	expect_blocked();
}

static void test_lengths_and_counts(void **state)
{
	static uint8_t buf[5000], copy[5000];

	(void)state;
	machine(NULL, counting_word, NULL);
	assert_int_equal(drbg_init(), 0);
	for (size_t len = 0; len < sizeof(buf); len += 251) {
		struct drbg_stats before = stats();

		memset(buf, 0xa5, sizeof(buf));
		assert_int_equal(drbg_read(buf, len), 0);
		for (size_t i = len; i < sizeof(buf); i++)
			assert_int_equal(buf[i], 0xa5);
		assert_int_equal(stats().bytes, before.bytes + len);
		assert_int_equal(stats().reads, before.reads + 1);
	}
	expect_output(buf, sizeof(buf));
	expect_output(copy, sizeof(copy));
	for (size_t i = 0; i + 16 <= sizeof(buf); i += 16)
		assert_memory_not_equal(buf + i, copy + i, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_source_blocks),
		cmocka_unit_test(test_rdrand_that_fails_blocks_until_it_works),
		cmocka_unit_test(test_rdrand_that_is_slow_works),
		cmocka_unit_test(test_stuck_sources_are_left),
		cmocka_unit_test(test_stuck_while_running),
		cmocka_unit_test(test_one_bad_word_is_enough),
		cmocka_unit_test(test_sources_are_mixed),
		cmocka_unit_test(test_kept_word_is_not_in_the_seed),
		cmocka_unit_test(test_every_source_counts),
		cmocka_unit_test(test_output_is_the_librarys),
		cmocka_unit_test(test_seeded_again_in_time),
		cmocka_unit_test(test_blocked_when_seeding_again_fails),
		cmocka_unit_test(test_boot_seed_alone_carries_on),
		cmocka_unit_test(test_boot_seed_of_equal_bytes_is_none),
		cmocka_unit_test(test_lengths_and_counts),
	};

	for (unsigned int i = 0; i < BOOT_SEED_LEN; i++) {
		seed_a[i] = (uint8_t)(i * 7 + 1);
		seed_b[i] = (uint8_t)(i * 11 + 3);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
