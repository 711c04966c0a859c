// SPDX-License-Identifier: Apache-2.0
/* Owns: JSON syntax and escaping. State is the caller's struct json. */
#include "kernel/lib/json.h"

#include <assert.h>
#include <string.h>

#include "kernel/lib/utf8.h"

void json_init(struct json *j, struct sink *out)
{
	*j = (struct json){ .out = out };
}

static void put_escaped(struct sink *out, unsigned char c)
{
	switch (c) {
	case '"':
		sink_puts(out, "\\\"");
		break;
	case '\\':
		sink_puts(out, "\\\\");
		break;
	case '\n':
		sink_puts(out, "\\n");
		break;
	case '\r':
		sink_puts(out, "\\r");
		break;
	case '\t':
		sink_puts(out, "\\t");
		break;
	default:
		sink_printf(out, "\\u%04x", c);
		break;
	}
}

static bool plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void put_string(struct sink *out, const char *s, size_t len)
{
	size_t i = 0;

	sink_puts(out, "\"");
	while (i < len) {
		size_t run = i;
		int n;

		while (run < len && plain((unsigned char)s[run]))
			run++;
		if (run > i) {
			out->put(out, s + i, run - i);
			i = run;
			continue;
		}
		n = utf8_char_len(s + i, len - i);
		if (n > 1) {
			out->put(out, s + i, (size_t)n);
			i += (size_t)n;
			continue;
		}
		if (n == 1)
			put_escaped(out, (unsigned char)s[i]);
		else
			sink_puts(out, "\\ufffd");
		i++;
	}
	sink_puts(out, "\"");
}

/* Comma and key in front of a value. */
static void begin_value(struct json *j, const char *key)
{
	uint32_t level = 1u << j->depth;

	/* depth 0 is the top: its "level" only tells whether something was written. */
	assert(!key == (j->depth == 0 || (j->is_array & level) != 0));
	if (j->has_item & level)
		sink_puts(j->out, ",");
	j->has_item |= level;
	if (key) {
		put_string(j->out, key, strlen(key));
		sink_puts(j->out, ":");
	}
}

static void open_level(struct json *j, const char *key, bool array)
{
	begin_value(j, key);
	assert(j->depth + 1 < JSON_DEPTH_MAX);
	j->depth++;
	j->has_item &= ~(1u << j->depth);
	if (array)
		j->is_array |= 1u << j->depth;
	else
		j->is_array &= ~(1u << j->depth);
	sink_puts(j->out, array ? "[" : "{");
}

void json_object(struct json *j, const char *key)
{
	open_level(j, key, false);
}

void json_array(struct json *j, const char *key)
{
	open_level(j, key, true);
}

void json_end(struct json *j)
{
	assert(j->depth > 0);
	sink_puts(j->out, j->is_array & (1u << j->depth) ? "]" : "}");
	j->depth--;
}

void json_strn(struct json *j, const char *key, const char *value, size_t len)
{
	begin_value(j, key);
	put_string(j->out, value, len);
}

void json_str(struct json *j, const char *key, const char *value)
{
	if (value) {
		json_strn(j, key, value, strlen(value));
		return;
	}
	begin_value(j, key);
	sink_puts(j->out, "null");
}

void json_u64(struct json *j, const char *key, uint64_t value)
{
	begin_value(j, key);
	sink_printf(j->out, "%llu", (unsigned long long)value);
}

void json_i64(struct json *j, const char *key, int64_t value)
{
	begin_value(j, key);
	sink_printf(j->out, "%lld", (long long)value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	begin_value(j, key);
	sink_puts(j->out, value ? "true" : "false");
}

void json_hex(struct json *j, const char *key, uint64_t value)
{
	begin_value(j, key);
	sink_printf(j->out, "\"0x%llx\"", (unsigned long long)value);
}

void json_finish(struct json *j)
{
	while (j->depth > 0)
		json_end(j);
	sink_puts(j->out, "\n");
}
