/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One description of a listing, two forms: an aligned text table, or a JSON array of
 * objects. Nothing is stored: the text form runs the caller's loop twice, first to measure.
 *
 *	static const struct table_col cols[] = { { "name", 0 }, { "cpus", TABLE_RIGHT } };
 *	struct table t;
 *
 *	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
 *	while (table_pass(&t)) {
 *		for each vm {
 *			table_str(&t, vm->name);
 *			table_u64(&t, vm->cpus);
 *		}
 *	}
 *
 * The loop's body gives exactly one cell per column and row, in order; a row ends by itself.
 * Data that changes between the passes costs alignment, nothing else.
 */
#ifndef RAYOS_KERNEL_LIB_TABLE_H
#define RAYOS_KERNEL_LIB_TABLE_H

#include "kernel/lib/json.h"
#include "kernel/lib/types.h"

#define TABLE_COLS_MAX 16u
#define TABLE_RIGHT    1u /* numbers */

struct table_col {
	const char *key;   /* JSON member; the heading is its upper case, '_' as space */
	unsigned int flags;
};

struct table {
	struct json json;
	struct sink *out;
	const struct table_col *cols;
	size_t ncols, col;
	unsigned int pass;
	bool as_json;
	uint16_t width[TABLE_COLS_MAX];
};

void table_init(struct table *t, struct sink *out, bool as_json, const struct table_col *cols,
		size_t ncols);
/** Begin the next pass over the data; false when the listing is complete. */
bool table_pass(struct table *t);

void table_str(struct table *t, const char *value);
void table_u64(struct table *t, uint64_t value);
void table_i64(struct table *t, int64_t value);
/** yes / no; true / false in JSON. */
void table_bool(struct table *t, bool value);
/** 0x...; a string in JSON. */
void table_hex(struct table *t, uint64_t value);
/** A number of bytes: "512M"; the plain number in JSON. */
void table_size(struct table *t, uint64_t bytes);
/** Formatted text; a string in JSON. Cut after 255 bytes. */
void table_fmt(struct table *t, const char *fmt, ...) __printf_fmt(2, 3);

/*
 * The same idea for one object: "name: value" lines with aligned values, or a JSON object.
 *
 *	record_begin(&r, cmd_sink(ctx), cmd_json(ctx));
 *	record_str(&r, "state", "running");
 *	record_end(&r);
 */
struct record {
	struct json json;
	struct sink *out;
	const char *list; /* key of the open list until its first item is written */
	bool as_json;
};

void record_begin(struct record *r, struct sink *out, bool as_json);
void record_str(struct record *r, const char *key, const char *value);
void record_u64(struct record *r, const char *key, uint64_t value);
void record_bool(struct record *r, const char *key, bool value);
void record_hex(struct record *r, const char *key, uint64_t value);
void record_size(struct record *r, const char *key, uint64_t bytes);
void record_fmt(struct record *r, const char *key, const char *fmt, ...) __printf_fmt(3, 4);
/** Several values under one key: a line each, or a JSON array of strings. */
void record_list(struct record *r, const char *key);
void record_item(struct record *r, const char *value);
void record_list_end(struct record *r);
void record_end(struct record *r);

#endif
