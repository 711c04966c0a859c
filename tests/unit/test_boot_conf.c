/* UNIT: boot/conf.c kernel/lib/ini.c kernel/lib/utf8.c */
// SPDX-License-Identifier: Apache-2.0
/* boot/conf.c: section [boot] of rayos.conf, and what is wrong with it by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "boot/conf.h"
#include "kernel/lib/ini.h"

static struct conf c;
static uint32_t problems, last_line;
static char last_text[80];

static void problem(uint32_t line, const char *what)
{
	problems++;
	last_line = line;
	snprintf(last_text, sizeof(last_text), "%s", what);
}

static void read_text(const char *text)
{
	struct ini ini;

	problems = 0;
	conf_defaults(&c);
	conf_read(&c, &ini, text, strlen(text), problem);
}

static void test_settings(void **state)
{
	(void)state;
	read_text("");
	assert_true(c.kaslr);
	assert_int_equal(c.module_count, 0);
	read_text("module = not-this\n[boot]\nmodule = vmlinuz\nmodule=sub/initrd.img\r\n"
		  "kaslr = off\nlog = info\n[vm a]\nmodule = nor-this\nkaslr = maybe\n");
	assert_int_equal(problems, 0);
	assert_false(c.kaslr);
	assert_int_equal(c.module_count, 2);
	assert_string_equal(c.module[0], "vmlinuz");
	assert_string_equal(c.module[1], "sub/initrd.img");
}

static void test_problems(void **state)
{
	char longer[300];

	(void)state;
	read_text("[boot]\nkaslr = perhaps\nmodule = a\n");
	assert_int_equal(problems, 1);
	assert_int_equal(last_line, 2);
	assert_string_equal(last_text, "kaslr is neither on nor off");
	assert_true(c.kaslr);
	assert_int_equal(c.module_count, 1);
	read_text("[boot]\n\nmodule =\n");
	assert_int_equal(problems, 1);
	assert_int_equal(last_line, 3);
	snprintf(longer, sizeof(longer), "[boot]\nmodule = %0200d\nmodule = b\n", 0);
	read_text(longer);
	assert_int_equal(problems, 1);
	assert_int_equal(last_line, 2);
	assert_int_equal(c.module_count, 1);
	assert_string_equal(c.module[0], "b");
	read_text("[boot\ngarbage\n[boot]\nmodule = c\n");
	assert_int_equal(problems, 2);
	assert_int_equal(c.module_count, 1);
}

static void test_too_many_modules(void **state)
{
	static char text[8192];
	size_t n = (size_t)snprintf(text, sizeof(text), "[boot]\n");

	(void)state;
	for (unsigned int i = 0; i < CONF_MODULES_MAX + 3; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "module = m%u\n", i);
	read_text(text);
	assert_int_equal(problems, 3);
	assert_int_equal(c.module_count, CONF_MODULES_MAX);
	assert_string_equal(c.module[CONF_MODULES_MAX - 1], "m127");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_problems),
		cmocka_unit_test(test_too_many_modules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
