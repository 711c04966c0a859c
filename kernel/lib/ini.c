// SPDX-License-Identifier: Apache-2.0
/*
 * Owns: the configuration syntax. Must not know: any key. No allocation; any context, the
 * boot loader's included.
 */
#include "kernel/lib/ini.h"

#include <ctype.h>
#include <string.h>

#include "kernel/lib/utf8.h"

struct span {
	const char *p;
	size_t len;
};

void ini_init(struct ini *ini, const void *text, size_t len)
{
	ini->next = text;
	ini->end = ini->next + len;
	ini->line = 0;
	ini->error = NULL;
	ini->section[0] = '\0';
	ini->key[0] = '\0';
	ini->value[0] = '\0';
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		ini->next += 3;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span trim(struct span s)
{
	while (s.len > 0 && is_blank(s.p[0])) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && is_blank(s.p[s.len - 1]))
		s.len--;
	return s;
}

static struct span take_line(struct ini *ini)
{
	struct span s = { .p = ini->next, .len = (size_t)(ini->end - ini->next) };
	const char *nl = memchr(s.p, '\n', s.len);

	if (nl) {
		s.len = (size_t)(nl - s.p);
		ini->next = nl + 1;
	} else {
		ini->next = ini->end;
	}
	if (s.len > 0 && s.p[s.len - 1] == '\r')
		s.len--;
	ini->line++;
	return s;
}

static enum ini_event fail(struct ini *ini, const char *why)
{
	ini->error = why;
	return INI_ERROR;
}

/* NULL when the text can be trusted to be text. */
static const char *text_problem(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\0')
			return "the line holds a NUL byte";
		if (iscntrl((unsigned char)s.p[i]) && s.p[i] != '\t')
			return "the line holds a control character";
	}
	return utf8_valid(s.p, s.len) ? NULL : "the line is not UTF-8";
}

static void copy_out(char *dst, struct span s)
{
	memcpy(dst, s.p, s.len);
	dst[s.len] = '\0';
}

static enum ini_event parse_section(struct ini *ini, struct span s)
{
	if (s.p[s.len - 1] != ']')
		return fail(ini, "a section must end in ]");
	s.p++;
	s.len -= 2;
	s = trim(s);
	if (s.len == 0)
		return fail(ini, "the section has no name");
	if (s.len >= INI_SECTION_MAX)
		return fail(ini, "the section name is longer than 95 bytes");
	copy_out(ini->section, s);
	return INI_SECTION;
}

static bool key_valid(struct span key)
{
	for (size_t i = 0; i < key.len; i++) {
		char c = key.p[i];

		if (!isalnum((unsigned char)c) && c != '_' && c != '-' && c != '.')
			return false;
	}
	return key.len > 0;
}

static enum ini_event parse_pair(struct ini *ini, struct span s)
{
	const char *eq = memchr(s.p, '=', s.len);
	struct span key, value;

	if (!eq)
		return fail(ini, "neither key = value nor [section]");
	key = trim((struct span){ s.p, (size_t)(eq - s.p) });
	value = trim((struct span){ eq + 1, s.len - (size_t)(eq - s.p) - 1 });
	if (!key_valid(key))
		return fail(ini, "a key is letters, digits, '_', '-' and '.'");
	if (key.len >= INI_KEY_MAX)
		return fail(ini, "the key is longer than 63 bytes");
	if (value.len > 0 && value.p[0] == '"') {
		if (value.len < 2 || value.p[value.len - 1] != '"')
			return fail(ini, "the closing quote is missing");
		value.p++;
		value.len -= 2;
	}
	if (value.len >= INI_VALUE_MAX)
		return fail(ini, "the value is longer than 2047 bytes");
	copy_out(ini->key, key);
	copy_out(ini->value, value);
	return INI_PAIR;
}

enum ini_event ini_next(struct ini *ini)
{
	BUILD_ASSERT(INI_SECTION_MAX == 96 && INI_KEY_MAX == 64 && INI_VALUE_MAX == 2048,
		     "the texts above name these limits");

	while (ini->next < ini->end) {
		struct span s = trim(take_line(ini));
		const char *problem;

		if (s.len == 0 || s.p[0] == '#' || s.p[0] == ';')
			continue;
		problem = text_problem(s);
		if (problem)
			return fail(ini, problem);
		return s.p[0] == '[' ? parse_section(ini, s) : parse_pair(ini, s);
	}
	return INI_END;
}
