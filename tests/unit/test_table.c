/* UNIT: kernel/lib/table.c kernel/lib/json.c kernel/lib/parse.c kernel/lib/fmt.c
 *       kernel/lib/sink.c kernel/lib/utf8.c */
// SPDX-License-Identifier: Apache-2.0
/* JSON output whatever the values hold; listings and records in both forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/json.h"
#include "kernel/lib/table.h"

static char text[4096];
static struct buf_sink out;

static int setup(void **state)
{
	(void)state;
	buf_sink_init(&out, text, sizeof(text));
	return 0;
}

static void test_json(void **state)
{
	struct json j;

	(void)state;
	json_init(&j, &out.sink);
	json_object(&j, NULL);
	json_str(&j, "name", "demo");
	json_u64(&j, "max", UINT64_MAX);
	json_i64(&j, "min", INT64_MIN);
	json_bool(&j, "on", true);
	json_bool(&j, "off", false);
	json_hex(&j, "addr", 0xfee00000);
	json_str(&j, "none", NULL);
	json_array(&j, "list");
	json_end(&j);
	json_array(&j, "cpus");
	json_u64(&j, NULL, 1);
	json_object(&j, NULL);
	json_end(&j);
	json_array(&j, NULL);
	json_str(&j, NULL, "x");
	json_end(&j);
	json_end(&j);
	json_object(&j, "o");
	json_u64(&j, "a", 1);
	json_finish(&j);
	assert_string_equal(text,
	                    "{\"name\":\"demo\",\"max\":18446744073709551615,"
	                    "\"min\":-9223372036854775808,\"on\":true,\"off\":false,"
	                    "\"addr\":\"0xfee00000\",\"none\":null,\"list\":[],"
	                    "\"cpus\":[1,{},[\"x\"]],\"o\":{\"a\":1}}\n");
}

static void test_json_escapes(void **state)
{
	struct json j;

	(void)state;
	json_init(&j, &out.sink);
	json_array(&j, NULL);
	json_str(&j, NULL, "a\"b\\c/\n\r\t\x01\x1f\x7f");
	json_str(&j, NULL, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	json_str(&j, NULL, "x\xff\xc3z\xe2\x82");
	json_strn(&j, NULL, "a\0b", 3);
	json_str(&j, NULL, "");
	json_finish(&j);
	assert_string_equal(text, "[\"a\\\"b\\\\c/\\n\\r\\t\\u0001\\u001f\\u007f\","
	                    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\","
	                    "\"x\\ufffd\\ufffdz\\ufffd\\ufffd\",\"a\\u0000b\",\"\"]\n");
}

static void test_json_top_values(void **state)
{
	struct json j;

	(void)state;
	json_init(&j, &out.sink);
	json_u64(&j, NULL, 7);
	json_finish(&j);
	assert_string_equal(text, "7\n");
}

static const struct table_col cols[] = {
	{ "name", 0 }, { "cpus", TABLE_RIGHT }, { "delta", TABLE_RIGHT }, { "memory_size", TABLE_RIGHT },
	{ "entry", 0 }, { "on", 0 }, { "note", 0 },
};

static void list(bool json)
{
	struct table t;

	table_init(&t, &out.sink, json, cols, ARRAY_SIZE(cols));
	while (table_pass(&t)) {
		table_str(&t, "demo");
		table_u64(&t, 2);
		table_i64(&t, -5);
		table_size(&t, 256ull << 20);
		table_hex(&t, 0x1000);
		table_bool(&t, true);
		table_fmt(&t, "%s/%d", "x", 3);
		table_str(&t, "long-n\xc3\xa9m");
		table_u64(&t, 123456);
		table_i64(&t, 5);
		table_size(&t, 1000);
		table_hex(&t, 0);
		table_bool(&t, false);
		table_str(&t, NULL);
	}
	assert_false(table_pass(&t));
}

static void test_table_text(void **state)
{
	(void)state;
	list(false);
	assert_string_equal(text,
	                    "NAME        CPUS  DELTA  MEMORY SIZE  ENTRY   ON   NOTE\n"
	                    "demo           2     -5         256M  0x1000  yes  x/3\n"
	                    "long-n\xc3\xa9m  123456      5         1000  0x0     no   -\n");
}

static void test_table_json(void **state)
{
	(void)state;
	list(true);
	assert_string_equal(text,
	                    "[{\"name\":\"demo\",\"cpus\":2,\"delta\":-5,\"memory_size\":268435456,"
	                    "\"entry\":\"0x1000\",\"on\":true,\"note\":\"x/3\"},"
	                    "{\"name\":\"long-n\xc3\xa9m\",\"cpus\":123456,\"delta\":5,"
	                    "\"memory_size\":1000,\"entry\":\"0x0\",\"on\":false,\"note\":null}]\n");
}

static void test_table_empty(void **state)
{
	struct table t;

	(void)state;
	table_init(&t, &out.sink, false, cols, 2);
	while (table_pass(&t))
		;
	table_init(&t, &out.sink, true, cols, 2);
	while (table_pass(&t))
		;
	assert_string_equal(text, "NAME  CPUS\n[]\n");
}

static void test_table_long_cells(void **state)
{
	static const struct table_col two[] = { { "a", 0 }, { "b", 0 } };
	char big[600];
	struct table t;

	(void)state;
	memset(big, 'y', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	table_init(&t, &out.sink, false, two, 2);
	while (table_pass(&t)) {
		table_fmt(&t, "%s", big);
		table_str(&t, big);
	}
	/* heading a + 254 pad + gap + b, then 255 cut + gap + 599 */
	assert_int_equal(strlen(text), 255 + 2 + 1 + 1 + 255 + 2 + 599 + 1);
}

static void record(bool json)
{
	struct record r;

	record_begin(&r, &out.sink, json);
	record_str(&r, "name", "demo");
	record_u64(&r, "exits", 12);
	record_bool(&r, "nested_paging", true);
	record_hex(&r, "base", 0xfee00000);
	record_size(&r, "memory", 64 << 20);
	record_fmt(&r, "a_key_that_is_longer_than_the_column", "%d%%", 50);
	record_str(&r, "reason", NULL);
	record_end(&r);
}

static void test_record(void **state)
{
	(void)state;
	record(false);
	assert_string_equal(text, "name:                 demo\n"
	                    "exits:                12\n"
	                    "nested paging:        yes\n"
	                    "base:                 0xfee00000\n"
	                    "memory:               64M\n"
	                    "a key that is longer than the column: 50%\n"
	                    "reason:               -\n");
	buf_sink_init(&out, text, sizeof(text));
	record(true);
	assert_string_equal(text, "{\"name\":\"demo\",\"exits\":12,\"nested_paging\":true,"
	                    "\"base\":\"0xfee00000\",\"memory\":67108864,"
	                    "\"a_key_that_is_longer_than_the_column\":\"50%\",\"reason\":null}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_json, setup),
		cmocka_unit_test_setup(test_json_escapes, setup),
		cmocka_unit_test_setup(test_json_top_values, setup),
		cmocka_unit_test_setup(test_table_text, setup),
		cmocka_unit_test_setup(test_table_json, setup),
		cmocka_unit_test_setup(test_table_empty, setup),
		cmocka_unit_test_setup(test_table_long_cells, setup),
		cmocka_unit_test_setup(test_record, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
