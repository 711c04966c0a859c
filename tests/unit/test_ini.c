/* UNIT: kernel/lib/ini.c kernel/lib/utf8.c */
// SPDX-License-Identifier: Apache-2.0
/* The configuration syntax: what is read, what is refused, and on which line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/ini.h"
#include "kernel/lib/utf8.h"

/* All events as text, "[section]@line key=value@line !@line" with section prefixed to pairs. */
static const char *events_n(const char *text, size_t len)
{
	static char out[8192];
	char *copy = malloc(len + 1); /* exact size: ASan sees a byte too far */
	struct ini *ini = malloc(sizeof(*ini));
	enum ini_event e;
	size_t n = 0;

	copy = realloc(copy, len ? len : 1);
	memcpy(copy, text, len);
	out[0] = '\0';
	ini_init(ini, copy, len);
	while ((e = ini_next(ini)) != INI_END) {
		if (e == INI_SECTION)
			n += (size_t)snprintf(out + n, sizeof(out) - n, "[%s]@%u ", ini->section,
			                      ini->line);
		else if (e == INI_PAIR)
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%s:%s=%s@%u ",
			                      ini->section, ini->key, ini->value, ini->line);
		else
			n += (size_t)snprintf(out + n, sizeof(out) - n, "!%s@%u ", ini->error,
			                      ini->line);
	}
	assert_int_equal(ini_next(ini), INI_END);
	free(ini);
	free(copy);
	return out;
}

static const char *events(const char *text)
{
	return events_n(text, strlen(text));
}

static void test_plain(void **state)
{
	(void)state;
	assert_string_equal(events(""), "");
	assert_string_equal(events("\n\n  \n# c\n; c\n"), "");
	assert_string_equal(events("a=1"), ":a=1@1 ");
	assert_string_equal(events("a = 1\n[vm demo]\nmemory = 256M\n\n[ x ]\nk.a-b_9=v"),
	                    ":a=1@1 [vm demo]@2 vm demo:memory=256M@3 [x]@5 x:k.a-b_9=v@6 ");
	assert_string_equal(events("\xef\xbb\xbf[a]\r\nb=c \r\nd=\r\n"),
	                    "[a]@1 a:b=c@2 a:d=@3 ");
	assert_string_equal(events("cmd=quiet console=ttyS0 # no comment"),
	                    ":cmd=quiet console=ttyS0 # no comment@1 ");
	assert_string_equal(events("a=\"  b \"\nc=\"\"\nd=x\"y\nname=\xc3\xa9t\xc3\xa9"),
	                    ":a=  b @1 :c=@2 :d=x\"y@3 :name=\xc3\xa9t\xc3\xa9@4 ");
}

static void test_errors_name_the_line(void **state)
{
	(void)state;
	assert_string_equal(events("ok=1\nnonsense\nok=2"),
	                    ":ok=1@1 !neither key = value nor [section]@2 :ok=2@3 ");
	assert_string_equal(events("[open\n[]\n[ ]\n["), "!a section must end in ]@1 "
	                    "!the section has no name@2 !the section has no name@3 "
	                    "!a section must end in ]@4 ");
	assert_string_equal(events("=v\na b=c\n\xc3\xa9=1"),
	                    "!a key is letters, digits, '_', '-' and '.'@1 "
	                    "!a key is letters, digits, '_', '-' and '.'@2 "
	                    "!a key is letters, digits, '_', '-' and '.'@3 ");
	assert_string_equal(events("a=\"x\nb=\""), "!the closing quote is missing@1 "
	                    "!the closing quote is missing@2 ");
	assert_string_equal(events_n("a=\0b\nc=1", 8), "!the line holds a NUL byte@1 :c=1@2 ");
	assert_string_equal(events("a=\x1b[0m"), "!the line holds a control character@1 ");
	assert_string_equal(events("a=b\rc"), "!the line holds a control character@1 ");
	assert_string_equal(events("a=\xff"), "!the line is not UTF-8@1 ");
}

/* A failed section keeps the former one; nothing is cut silently. */
static void test_limits(void **state)
{
	char text[6000];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "a=", 2);
	assert_string_equal(events_n(text, sizeof(text)), "!the value is longer than 2047 bytes@1 ");
	assert_int_equal(strlen(events_n(text, 2 + 2047)), strlen(":a=@1 ") + 2047);
	assert_string_equal(events_n(text, 2 + 2048), "!the value is longer than 2047 bytes@1 ");
	text[2] = '"';
	text[2 + 2048] = '"';
	assert_int_equal(strlen(events_n(text, 2 + 2049)), strlen(":a=@1 ") + 2047);
	memset(text, 'k', sizeof(text));
	text[63] = '=';
	assert_int_equal(strlen(events_n(text, 64)), strlen(":=@1 ") + 63);
	text[63] = 'k';
	text[64] = '=';
	assert_string_equal(events_n(text, 65), "!the key is longer than 63 bytes@1 ");
	text[0] = '[';
	text[64] = 'k';
	text[96] = ']';
	assert_int_equal(strlen(events_n(text, 97)), strlen("[]@1 ") + 95);
	text[96] = 'k';
	text[97] = ']';
	assert_string_equal(events_n(text, 98), "!the section name is longer than 95 bytes@1 ");
}

static void test_utf8(void **state)
{
	(void)state;
	assert_true(utf8_valid("", 0));
	assert_true(utf8_valid("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10));
	assert_int_equal(utf8_count("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10), 4);
	assert_int_equal(utf8_char_len("\xf4\x8f\xbf\xbf", 4), 4);
	assert_int_equal(utf8_char_len("\xee\x80\x80", 3), 3);
	/* overlong, surrogates, too high, lone and wrong continuation bytes */
	static const char *const bad[] = { "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80",
		"\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80", "\xbf",
		"\xff", "\xc3(", "\xe2\x82(", "\xf0\x9f\x98(" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(utf8_char_len(bad[i], strlen(bad[i])), 0);
	assert_int_equal(utf8_char_len("\xc3", 1), -1);
	assert_int_equal(utf8_char_len("\xe2\x82", 2), -1);
	assert_int_equal(utf8_char_len("\xf0\x9f\x98", 3), -1);
	assert_false(utf8_valid("ab\xe2\x82", 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_errors_name_the_line),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
