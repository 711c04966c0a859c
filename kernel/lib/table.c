// SPDX-License-Identifier: Apache-2.0
/* Owns: the layout of listings and records. State is the caller's. Context: the sink's. */
#include "kernel/lib/table.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "kernel/lib/fmt.h"
#include "kernel/lib/parse.h"
#include "kernel/lib/utf8.h"

#define CELL_MAX      256u
#define COLUMN_GAP    2u
#define RECORD_INDENT 22u

enum { PASS_START, PASS_MEASURE, PASS_PRINT, PASS_JSON, PASS_DONE };

static char heading_char(char c)
{
	return c == '_' ? ' ' : (char)toupper((unsigned char)c);
}

void table_init(struct table *t, struct sink *out, bool as_json, const struct table_col *cols,
		size_t ncols)
{
	assert(ncols > 0 && ncols <= TABLE_COLS_MAX);
	*t = (struct table){ .out = out, .cols = cols, .ncols = ncols, .as_json = as_json,
			     .pass = PASS_START };
	json_init(&t->json, out);
	for (size_t i = 0; i < ncols; i++)
		t->width[i] = (uint16_t)strlen(cols[i].key);
}

static void put_padded(struct table *t, const char *s)
{
	size_t len = strlen(s), shown = utf8_count(s, len);
	size_t pad = t->width[t->col] > shown ? t->width[t->col] - shown : 0;
	bool last = t->col + 1 == t->ncols;

	if (t->cols[t->col].flags & TABLE_RIGHT)
		sink_fill(t->out, ' ', pad);
	sink_puts(t->out, s);
	if (last)
		return;
	if (!(t->cols[t->col].flags & TABLE_RIGHT))
		sink_fill(t->out, ' ', pad);
	sink_fill(t->out, ' ', COLUMN_GAP);
}

/* Called behind every cell. */
static void next_cell(struct table *t)
{
	if (++t->col < t->ncols)
		return;
	t->col = 0;
	if (t->pass == PASS_JSON)
		json_end(&t->json);
	else if (t->pass == PASS_PRINT)
		sink_puts(t->out, "\n");
}

static void text_cell(struct table *t, const char *s)
{
	size_t shown = utf8_count(s, strlen(s));

	if (t->pass == PASS_PRINT)
		put_padded(t, s);
	else if (shown > t->width[t->col])
		t->width[t->col] = (uint16_t)MIN(shown, CELL_MAX);
	next_cell(t);
}

static void print_heading(struct table *t)
{
	for (t->col = 0; t->col < t->ncols; t->col++) {
		char head[CELL_MAX];
		size_t i;

		strlcpy(head, t->cols[t->col].key, sizeof(head));
		for (i = 0; head[i]; i++)
			head[i] = heading_char(head[i]);
		put_padded(t, head);
	}
	t->col = 0;
	sink_puts(t->out, "\n");
}

bool table_pass(struct table *t)
{
	assert(t->col == 0); /* a row was left unfinished */
	switch (t->pass) {
	case PASS_START:
		t->pass = t->as_json ? PASS_JSON : PASS_MEASURE;
		if (t->as_json)
			json_array(&t->json, NULL);
		return true;
	case PASS_MEASURE:
		t->pass = PASS_PRINT;
		print_heading(t);
		return true;
	case PASS_JSON:
		json_finish(&t->json);
		break;
	default:
		break;
	}
	t->pass = PASS_DONE;
	return false;
}

/* In the JSON form: opens the row's object with its first cell; returns the cell's key. */
static const char *json_cell(struct table *t)
{
	if (t->col == 0)
		json_object(&t->json, NULL);
	return t->cols[t->col].key;
}

void table_str(struct table *t, const char *value)
{
	if (t->pass != PASS_JSON) {
		text_cell(t, value ? value : "-");
		return;
	}
	json_str(&t->json, json_cell(t), value);
	next_cell(t);
}

void table_u64(struct table *t, uint64_t value)
{
	char buf[24];

	if (t->pass != PASS_JSON) {
		ray_snprintf(buf, sizeof(buf), "%llu", (unsigned long long)value);
		text_cell(t, buf);
		return;
	}
	json_u64(&t->json, json_cell(t), value);
	next_cell(t);
}

void table_i64(struct table *t, int64_t value)
{
	char buf[24];

	if (t->pass != PASS_JSON) {
		ray_snprintf(buf, sizeof(buf), "%lld", (long long)value);
		text_cell(t, buf);
		return;
	}
	json_i64(&t->json, json_cell(t), value);
	next_cell(t);
}

void table_bool(struct table *t, bool value)
{
	if (t->pass != PASS_JSON) {
		text_cell(t, value ? "yes" : "no");
		return;
	}
	json_bool(&t->json, json_cell(t), value);
	next_cell(t);
}

void table_hex(struct table *t, uint64_t value)
{
	char buf[24];

	if (t->pass != PASS_JSON) {
		ray_snprintf(buf, sizeof(buf), "0x%llx", (unsigned long long)value);
		text_cell(t, buf);
		return;
	}
	json_hex(&t->json, json_cell(t), value);
	next_cell(t);
}

void table_size(struct table *t, uint64_t bytes)
{
	struct buf_sink b;
	char buf[24];

	if (t->pass != PASS_JSON) {
		buf_sink_init(&b, buf, sizeof(buf));
		format_size(&b.sink, bytes);
		text_cell(t, buf);
		return;
	}
	json_u64(&t->json, json_cell(t), bytes);
	next_cell(t);
}

void table_fmt(struct table *t, const char *fmt, ...)
{
	char buf[CELL_MAX];
	va_list ap;

	va_start(ap, fmt);
	ray_vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	table_str(t, buf);
}

void record_begin(struct record *r, struct sink *out, bool as_json)
{
	*r = (struct record){ .out = out, .as_json = as_json };
	json_init(&r->json, out);
	if (as_json)
		json_object(&r->json, NULL);
}

static void record_key(struct record *r, const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < len; i++)
		sink_fill(r->out, key[i] == '_' ? ' ' : key[i], 1);
	sink_puts(r->out, ":");
	sink_fill(r->out, ' ', len + 2 < RECORD_INDENT ? RECORD_INDENT - len - 1 : 1);
}

void record_str(struct record *r, const char *key, const char *value)
{
	if (r->as_json) {
		json_str(&r->json, key, value);
		return;
	}
	record_key(r, key);
	sink_printf(r->out, "%s\n", value ? value : "-");
}

void record_u64(struct record *r, const char *key, uint64_t value)
{
	if (r->as_json) {
		json_u64(&r->json, key, value);
		return;
	}
	record_key(r, key);
	sink_printf(r->out, "%llu\n", (unsigned long long)value);
}

void record_bool(struct record *r, const char *key, bool value)
{
	if (r->as_json) {
		json_bool(&r->json, key, value);
		return;
	}
	record_str(r, key, value ? "yes" : "no");
}

void record_hex(struct record *r, const char *key, uint64_t value)
{
	if (r->as_json) {
		json_hex(&r->json, key, value);
		return;
	}
	record_key(r, key);
	sink_printf(r->out, "0x%llx\n", (unsigned long long)value);
}

void record_size(struct record *r, const char *key, uint64_t bytes)
{
	if (r->as_json) {
		json_u64(&r->json, key, bytes);
		return;
	}
	record_key(r, key);
	format_size(r->out, bytes);
	sink_puts(r->out, "\n");
}

void record_fmt(struct record *r, const char *key, const char *fmt, ...)
{
	char buf[CELL_MAX];
	va_list ap;

	va_start(ap, fmt);
	ray_vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	record_str(r, key, buf);
}

void record_list(struct record *r, const char *key)
{
	r->list = key;
	if (r->as_json)
		json_array(&r->json, key);
}

void record_item(struct record *r, const char *value)
{
	if (r->as_json) {
		json_str(&r->json, NULL, value);
		return;
	}
	if (r->list)
		record_key(r, r->list);
	else
		sink_fill(r->out, ' ', RECORD_INDENT);
	r->list = NULL;
	sink_printf(r->out, "%s\n", value);
}

void record_list_end(struct record *r)
{
	if (r->as_json)
		json_end(&r->json);
	else if (r->list)
		record_str(r, r->list, NULL);
}

void record_end(struct record *r)
{
	if (r->as_json)
		json_finish(&r->json);
}
