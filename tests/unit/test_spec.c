/* UNIT: devices/virt/spec.c kernel/lib/parse.c kernel/lib/fmt.c kernel/lib/sink.c
 * kernel/lib/err.c */
// SPDX-License-Identifier: Apache-2.0
/* Specifications of devices as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virt/spec.h"
#include "kernel/lib/err.h"

static struct spec s;
static char why[128];

static int parse(const char *text)
{
	why[0] = '\0';
	return spec_parse(&s, text, why, sizeof(why));
}

static void test_items(void **state)
{
	uint64_t size = 7, n = 9;

	(void)state;
	assert_int_equal(parse("ram=64M,ro,queues=4,serial="), 0);
	assert_int_equal(s.count, 4);
	assert_int_equal(spec_size(&s, "ram", &size), 0);
	assert_int_equal(size, 64 << 20);
	assert_true(spec_flag(&s, "ro"));
	assert_int_equal(spec_u64(&s, "queues", 1, 8, &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(spec_all_used(&s, ""), -RAY_EINVAL);
	assert_string_equal(spec_text(&s, "serial"), "");
	assert_int_equal(spec_all_used(&s, ""), 0);
}

static void test_nothing(void **state)
{
	uint64_t v = 5;

	(void)state;
	assert_int_equal(parse(""), 0);
	assert_int_equal(s.count, 0);
	assert_null(spec_text(&s, "ram"));
	assert_false(spec_flag(&s, "ro"));
	assert_int_equal(spec_size(&s, "ram", &v), 0);
	assert_int_equal(spec_u64(&s, "ram", 0, 1, &v), 0);
	assert_int_equal(v, 5); /* left alone */
	assert_int_equal(spec_all_used(&s, ""), 0);
}

static void test_words_are_no_keys(void **state)
{
	(void)state;
	assert_int_equal(parse("ro=1,ram"), 0);
	assert_false(spec_flag(&s, "ro"));
	assert_null(spec_text(&s, "ram"));
	assert_int_equal(parse("ram=a=b"), 0);
	assert_string_equal(spec_text(&s, "ram"), "a=b");
}

static void test_bad_forms(void **state)
{
	static const char *const bad[] = {",", "a,", ",a", "a,,b", "=", "=1", "a=1,=2", "a,a",
					  "a=1,a=2", "a,a=1"};
	char longest[VM_DEV_SPEC_MAX + 1];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(parse(bad[i]), -RAY_EINVAL);
		assert_true(why[0] != '\0');
	}
	memset(longest, 'x', sizeof(longest));
	longest[VM_DEV_SPEC_MAX] = '\0';
	assert_int_equal(parse(longest), -RAY_E2BIG);
	longest[VM_DEV_SPEC_MAX - 1] = '\0';
	assert_int_equal(parse(longest), 0);
	assert_int_equal(parse("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p"), 0);
	assert_int_equal(parse("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"), -RAY_E2BIG);
}

static void test_reasons_name_the_key(void **state)
{
	uint64_t v = 5;

	(void)state;
	assert_int_equal(parse("ram=6x,queues=9,odd=1"), 0);
	assert_true(spec_size(&s, "ram", &v) < 0);
	assert_non_null(strstr(why, "ram"));
	assert_true(spec_u64(&s, "queues", 1, 8, &v) < 0);
	assert_non_null(strstr(why, "queues"));
	assert_int_equal(v, 5);
	assert_int_equal(spec_all_used(&s, "ram=SIZE"), -RAY_EINVAL);
	assert_non_null(strstr(why, "'odd'"));
	assert_non_null(strstr(why, "ram=SIZE"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_words_are_no_keys),
		cmocka_unit_test(test_bad_forms),
		cmocka_unit_test(test_reasons_name_the_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
