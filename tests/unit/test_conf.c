/* UNIT: kernel/conf.c kernel/lib/ini.c kernel/lib/nearest.c kernel/lib/parse.c
 * kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/utf8.c */
// SPDX-License-Identifier: Apache-2.0
/* kernel/conf.c: keys, defaults, and what it says about a file that is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/bootinfo.h"
#include "kernel/conf.h"
#include "kernel/lib/err.h"
#include "kernel/mm/page.h"
#include "tests/host/fake_log.h"

/* What conf_init() drives. */
uint64_t mm_direct_base;
static struct boot_info boot;
static enum panic_action panic_action;
static enum log_level recorded, shown;
static uint64_t prezero;

const struct boot_info *bootinfo(void)
{
	return &boot;
}

void panic_action_set(enum panic_action a)
{
	panic_action = a;
}

int log_level_set(const char *tag, enum log_level level)
{
	assert_null(tag);
	recorded = level;
	return 0;
}

void log_console_level_set(enum log_level level)
{
	shown = level;
}

int log_level_parse(const char *s, enum log_level *out)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	for (int i = 0; i < 4; i++) {
		if (strcmp(s, names[i]) == 0) {
			*out = (enum log_level)i;
			return 0;
		}
	}
	return -RAY_EINVAL;
}

void page_prezero_target_set(uint64_t bytes)
{
	prezero = bytes;
}

static char warnings[2048];

static void collect(void *arg, unsigned int line, const char *text)
{
	size_t n = strlen(warnings);

	(void)arg;
	snprintf(warnings + n, sizeof(warnings) - n, "%u: %s\n", line, text);
}

static struct kernel_conf parse(const char *text)
{
	struct kernel_conf c;

	warnings[0] = '\0';
	conf_parse(text, strlen(text), &c, collect, NULL);
	return c;
}

static void test_defaults(void **state)
{
	struct kernel_conf c = parse("");

	(void)state;
	assert_int_equal(c.log_level, LOG_INFO);
	assert_int_equal(c.panic, PANIC_RESET);
	assert_int_equal(c.mitigations, MITIGATE_AUTO);
	assert_true(c.prezero > 0);
	assert_string_equal(warnings, "");
}

static void test_every_key(void **state)
{
	struct kernel_conf c = parse("[rayos]\nloglevel = debug\nconsole_loglevel = error\n"
				     "panic = halt\nmitigations = off\nprezero = 3M\n");

	(void)state;
	assert_int_equal(c.log_level, LOG_DEBUG);
	assert_int_equal(c.console_level, LOG_ERR);
	assert_int_equal(c.panic, PANIC_HALT);
	assert_int_equal(c.mitigations, MITIGATE_OFF);
	assert_int_equal(parse("[rayos]\nmitigations = on\n").mitigations, MITIGATE_ALL);
	assert_int_equal(parse("[rayos]\nmitigations = auto\n").mitigations, MITIGATE_AUTO);
	assert_int_equal(c.prezero, MIB(3));
	assert_string_equal(warnings, "");
}

static void test_unknown_key_names_the_nearest(void **state)
{
	(void)state;
	parse("[rayos]\n\nmitigation = off\n");
	assert_string_equal(warnings,
			    "3: unknown key \"mitigation\"; did you mean \"mitigations\"?\n");
	parse("[rayos]\nxyzzy = 1\n");
	assert_string_equal(warnings, "2: unknown key \"xyzzy\"\n");
	parse("[rayoss]\n[vm a]\nxyzzy = 1\n[boot]\nmodule = x\n");
	assert_string_equal(warnings,
			    "1: unknown section \"rayoss\"; did you mean \"rayos\"?\n");
	parse("panic = halt\n");
	assert_string_equal(warnings, "1: \"panic\" stands before any [section]\n");
}

static void test_bad_values_keep_the_default(void **state)
{
	struct kernel_conf c = parse("[rayos]\nloglevel = loud\npanic = later\n"
				     "mitigations = maybe\nprezero = many\n");

	(void)state;
	assert_int_equal(c.log_level, LOG_INFO);
	assert_int_equal(c.panic, PANIC_RESET);
	assert_int_equal(c.mitigations, MITIGATE_AUTO);
	assert_int_equal(c.prezero, parse("").prezero);
	parse("[rayos]\nloglevel = loud\n");
	assert_string_equal(warnings,
			    "2: loglevel = loud: must be error, warn, info or debug\n");
}

static void test_damaged_lines_are_reported(void **state)
{
	struct kernel_conf c = parse("[rayos\n=\n[rayos]\npanic = halt\n");

	(void)state;
	assert_non_null(strstr(warnings, "1: "));
	assert_non_null(strstr(warnings, "2: "));
	assert_int_equal(c.panic, PANIC_HALT);
}

static void test_init_applies(void **state)
{
	static const char text[] = "[rayos]\npanic = halt\nloglevel = warn\nwrong = 1\n"
				   "console_loglevel = debug\nprezero = 1M\n";

	(void)state;
	boot.conf = (struct boot_blob){ .addr = (uint64_t)(uintptr_t)text,
					.size = sizeof(text) - 1 };
	fake_log_records = 0;
	assert_int_equal(conf_init(), 0);
	assert_int_equal(panic_action, PANIC_HALT);
	assert_int_equal(recorded, LOG_WARN);
	assert_int_equal(shown, LOG_DEBUG);
	assert_int_equal(prezero, MIB(1));
	assert_int_equal(fake_log_records, 1);
	assert_int_equal(conf()->panic, PANIC_HALT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_unknown_key_names_the_nearest),
		cmocka_unit_test(test_bad_values_keep_the_default),
		cmocka_unit_test(test_damaged_lines_are_reported),
		cmocka_unit_test(test_init_applies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
