/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streaming JSON writer (RFC 8259): commas, nesting and escaping are its business, so that
 * output is well formed whatever the values hold. No allocation; context: that of the sink.
 *
 *	json_init(&j, sink);
 *	json_array(&j, NULL);
 *	  json_object(&j, NULL);
 *	    json_str(&j, "name", vm->name);
 *	  json_end(&j);
 *	json_end(&j);
 *	json_finish(&j);
 */
#ifndef RAYOS_KERNEL_LIB_JSON_H
#define RAYOS_KERNEL_LIB_JSON_H

#include "kernel/lib/sink.h"
#include "kernel/lib/types.h"

#define JSON_DEPTH_MAX 32u

struct json {
	struct sink *out;
	unsigned int depth;
	uint32_t is_array; /* bit per open level */
	uint32_t has_item;
};

void json_init(struct json *j, struct sink *out);

/* @key names the member inside an object and is NULL in an array and at the top. */
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
/** Close the innermost object or array. */
void json_end(struct json *j);

/** A string; NULL becomes null; bytes that are not UTF-8 become U+FFFD. Trust: any bytes. */
void json_str(struct json *j, const char *key, const char *value);
void json_strn(struct json *j, const char *key, const char *value, size_t len);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_i64(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
/** "0x..." as a string: addresses do not fit a JSON reader's double. */
void json_hex(struct json *j, const char *key, uint64_t value);

/** Close what is open and end the line. */
void json_finish(struct json *j);

#endif
