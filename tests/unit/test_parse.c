/* UNIT: kernel/lib/parse.c kernel/lib/nearest.c kernel/lib/err.c kernel/lib/fmt.c
 *       kernel/lib/sink.c */
// SPDX-License-Identifier: Apache-2.0
/* Numbers, sizes and words as people type them; suggestions; error texts; checked sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/checked.h"
#include "kernel/lib/err.h"
#include "kernel/lib/nearest.h"
#include "kernel/lib/parse.h"

#define UNTOUCHED 0x5555555555555555ull

static void test_u64(void **state)
{
	static const struct {
		const char *s;
		int err;
		uint64_t v;
	} t[] = {
		{ "0", 0, 0 },
		{ "42", 0, 42 },
		{ "007", 0, 7 },
		{ "0x1f", 0, 0x1f },
		{ "0XFf", 0, 0xff },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "0xffffffffffffffff", 0, UINT64_MAX },
		{ "18446744073709551616", -RAY_ERANGE, 0 },
		{ "18446744073709551620", -RAY_ERANGE, 0 },
		{ "0x10000000000000000", -RAY_ERANGE, 0 },
		{ "99999999999999999999999x", -RAY_EINVAL, 0 },
		{ "", -RAY_EINVAL, 0 },
		{ "0x", -RAY_EINVAL, 0 },
		{ "x1", -RAY_EINVAL, 0 },
		{ "1 ", -RAY_EINVAL, 0 },
		{ " 1", -RAY_EINVAL, 0 },
		{ "-1", -RAY_EINVAL, 0 },
		{ "+1", -RAY_EINVAL, 0 },
		{ "1a", -RAY_EINVAL, 0 },
		{ "1K", -RAY_EINVAL, 0 },
		{ "\xff", -RAY_EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t v = UNTOUCHED;

		if (parse_u64(t[i].s, &v) != t[i].err || v != (t[i].err ? UNTOUCHED : t[i].v))
			fail_msg("%s", t[i].s);
	}
}

static void test_size(void **state)
{
	static const struct {
		const char *s;
		int err;
		uint64_t v;
	} t[] = {
		{ "0", 0, 0 },
		{ "512", 0, 512 },
		{ "4k", 0, 4096 },
		{ "4KB", 0, 4096 },
		{ "4KiB", 0, 4096 },
		{ "256M", 0, 256ull << 20 },
		{ "0x10m", 0, 16ull << 20 },
		{ "3gib", 0, 3ull << 30 },
		{ "2T", 0, 2ull << 40 },
		{ "16777215T", 0, 16777215ull << 40 },
		{ "16777216T", -RAY_ERANGE, 0 },
		{ "18446744073709551616K", -RAY_ERANGE, 0 },
		{ "4Kx", -RAY_EINVAL, 0 },
		{ "4P", -RAY_EINVAL, 0 },
		{ "4KK", -RAY_EINVAL, 0 },
		{ "M", -RAY_EINVAL, 0 },
		{ "4 M", -RAY_EINVAL, 0 },
		{ "", -RAY_EINVAL, 0 },
		{ "B", -RAY_EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t v = UNTOUCHED;

		if (parse_size(t[i].s, &v) != t[i].err || v != (t[i].err ? UNTOUCHED : t[i].v))
			fail_msg("%s", t[i].s);
	}
}

static void test_ranges(void **state)
{
	uint64_t v = UNTOUCHED;

	(void)state;
	assert_int_equal(parse_u64_range("0", 1, 8, &v), -RAY_ERANGE);
	assert_int_equal(parse_u64_range("9", 1, 8, &v), -RAY_ERANGE);
	assert_int_equal(parse_u64_range("z", 1, 8, &v), -RAY_EINVAL);
	assert_true(v == UNTOUCHED);
	assert_int_equal(parse_u64_range("1", 1, 8, &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(parse_u64_range("8", 1, 8, &v), 0);
	assert_int_equal(parse_size_range("15M", 16 << 20, 64 << 20, &v), -RAY_ERANGE);
	assert_int_equal(parse_size_range("x", 16 << 20, 64 << 20, &v), -RAY_EINVAL);
	assert_int_equal(v, 8);
	assert_int_equal(parse_size_range("64M", 16 << 20, 64 << 20, &v), 0);
	assert_int_equal(v, 64 << 20);
}

static void test_rate(void **state)
{
	static const struct {
		const char *text;
		uint64_t bits;
	} good[] = { { "0", 0 }, { "unlimited", 0 }, { "7", 7 }, { "5k", 5000 }, { "100M", 100000000 },
		     { "400G", PARSE_RATE_MAX } };
	static const char *const bad[] = { "", "M", "10X", "10MM", "-1", " 1", "1 ", "0x10", "1.5M",
					   "Unlimited" };
	static const char *const large[] = { "401G", "400000000001", "99999999999999999999999",
					     "400000000000K" };
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		v = 99;
		assert_int_equal(parse_rate(good[i].text, &v), 0);
		assert_int_equal(v, good[i].bits);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_rate(bad[i], &v), -RAY_EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(large); i++)
		assert_int_equal(parse_rate(large[i], &v), -RAY_ERANGE);
	assert_int_equal(v, PARSE_RATE_MAX);
}

static void test_bool(void **state)
{
	static const char *const yes[] = { "yes", "TRUE", "On", "1" };
	static const char *const no[] = { "no", "false", "OFF", "0" };
	static const char *const bad[] = { "", "y", "2", "yess", "enable" };
	bool v;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		v = false;
		assert_int_equal(parse_bool(yes[i], &v), 0);
		assert_true(v);
		assert_int_equal(parse_bool(no[i], &v), 0);
		assert_false(v);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_bool(bad[i], &v), -RAY_EINVAL);
}

static void test_explain(void **state)
{
	struct buf_sink b;
	char buf[128];

	(void)state;
#define SAYS(text, call)                                    \
	do {                                                \
		buf_sink_init(&b, buf, sizeof(buf));        \
		call;                                       \
		assert_string_equal(buf, text);             \
	} while (0)
	SAYS("cpus: 1000 is outside 1 to 8",
	     parse_explain(&b.sink, -RAY_ERANGE, "cpus", "1000", 1, 8));
	SAYS("cpus: '12x' is not a number",
	     parse_explain(&b.sink, -RAY_EINVAL, "cpus", "12x", 1, 8));
	SAYS("memory: 1 is outside 16M to 3G",
	     parse_explain_size(&b.sink, -RAY_ERANGE, "memory", "1", 16 << 20, 3ull << 30));
	SAYS("memory: 'lots' is not a size (a number with K, M, G or T)",
	     parse_explain_size(&b.sink, -RAY_EINVAL, "memory", "lots", 0, 1));
	SAYS("0", format_size(&b.sink, 0));
	SAYS("1536", format_size(&b.sink, 1536));
	SAYS("1537K", format_size(&b.sink, 1537 << 10));
	SAYS("4096T", format_size(&b.sink, 4096ull << 40));
	SAYS("18446744073709551615", format_size(&b.sink, UINT64_MAX));
}

static void test_nearest(void **state)
{
	static const char *const keys[] = { "memory", "cpus", "kernel", "initrd", "cmdline" };
	char long_word[100];

	(void)state;
	assert_string_equal(nearest_of("memroy", keys, ARRAY_SIZE(keys)), "memory");
	assert_string_equal(nearest_of("cpu", keys, ARRAY_SIZE(keys)), "cpus");
	assert_string_equal(nearest_of("KERNEL", keys, ARRAY_SIZE(keys)), "kernel");
	assert_string_equal(nearest_of("initramfs", keys, ARRAY_SIZE(keys)) ? "x" : "none", "none");
	assert_string_equal(nearest_of("cmd_line", keys, ARRAY_SIZE(keys)), "cmdline");
	static const char *const shorts[] = { "xyz", "log" };
	assert_string_equal(nearest_of("lgo", shorts, 2), "log"); /* one swap, not two changes */
	assert_null(nearest_of("lxx", shorts, 2));
	assert_null(nearest_of("", keys, ARRAY_SIZE(keys)));
	assert_null(nearest_of("zz", keys, ARRAY_SIZE(keys)));
	assert_null(nearest_of("memory", keys, 0));
	memset(long_word, 'm', sizeof(long_word));
	long_word[99] = '\0';
	assert_null(nearest_of(long_word, keys, ARRAY_SIZE(keys)));
	const char *const longs[] = { long_word };
	assert_null(nearest_of("mmm", longs, 1));
	long_word[47] = '\0';
	assert_ptr_equal(nearest_of("mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm", longs, 1),
	                 long_word);
}

static void test_strerror(void **state)
{
	static const int known[] = { RAY_EPERM, RAY_ENOENT, RAY_EIO, RAY_E2BIG, RAY_EAGAIN,
		RAY_ENOMEM, RAY_EFAULT, RAY_EBUSY, RAY_EEXIST, RAY_ENODEV, RAY_EINVAL, RAY_ENOSPC,
		RAY_ERANGE, RAY_ENOSYS, RAY_ENOEXEC, RAY_EPROTO, RAY_ETIMEDOUT, RAY_ECANCELED };

	(void)state;
	assert_string_equal(ray_strerror(0), "success");
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		assert_string_not_equal(ray_strerror(-known[i]), "unknown error");
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(ray_strerror(-known[i]), ray_strerror(-known[j]));
	}
	assert_string_equal(ray_strerror(-9999), "unknown error");
	assert_string_equal(ray_strerror(5), "unknown error");
	assert_string_equal(ray_strerror(INT32_MIN), "unknown error");
}

static void test_checked(void **state)
{
	uint64_t v = UNTOUCHED;
	const uint64_t max = UINT64_MAX;

	(void)state;
	assert_int_equal(checked_add(max, 1, &v), -RAY_ERANGE);
	assert_int_equal(checked_sub(1, 2, &v), -RAY_ERANGE);
	assert_int_equal(checked_mul(1ull << 32, 1ull << 32, &v), -RAY_ERANGE);
	assert_int_equal(checked_align_up(max - 1, 4096, &v), -RAY_ERANGE);
	assert_true(v == UNTOUCHED);
	assert_int_equal(checked_add(max - 1, 1, &v), 0);
	assert_true(v == max);
	assert_int_equal(checked_sub(2, 2, &v), 0);
	assert_true(v == 0);
	assert_int_equal(checked_mul(1ull << 32, 3, &v), 0);
	assert_true(v == 3ull << 32);
	assert_int_equal(checked_align_up(4097, 4096, &v), 0);
	assert_true(v == 8192);
	assert_int_equal(checked_align_up(8192, 4096, &v), 0);
	assert_true(v == 8192);

	assert_true(range_inside(0, 0, 0, 0));
	assert_true(range_inside(10, 5, 10, 5));
	assert_false(range_inside(10, 6, 10, 5));
	assert_false(range_inside(9, 1, 10, 5));
	assert_true(range_inside(15, 0, 10, 5));
	assert_false(range_inside(16, 0, 10, 5));
	assert_false(range_inside(max, 2, max - 10, 11)); /* wraps */
	assert_true(range_inside(max, 1, max - 10, 11));
	assert_false(range_inside(12, max, 10, 5));

	assert_true(range_overlaps(0, 2, 1, 5));
	assert_true(range_overlaps(1, 5, 0, 2));
	assert_false(range_overlaps(0, 1, 1, 5));
	assert_false(range_overlaps(1, 5, 0, 1));
	assert_false(range_overlaps(1, 0, 0, 5));
	assert_false(range_overlaps(1, 1, 1, 0));
	assert_true(range_overlaps(max, 1, max - 1, 2));
	assert_true(range_overlaps(0, max, max - 1, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u64),      cmocka_unit_test(test_size),
		cmocka_unit_test(test_ranges),   cmocka_unit_test(test_rate),
		cmocka_unit_test(test_bool),
		cmocka_unit_test(test_explain),  cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_strerror), cmocka_unit_test(test_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
