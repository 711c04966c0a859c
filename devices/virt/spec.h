/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Specifications of devices, `word,key=value,flag`: taken apart here, understood by the kind.
 * Pure; any context. Trust: the text is an operator's, checked for size and form here.
 */
#ifndef RAYOS_DEVICES_VIRT_SPEC_H
#define RAYOS_DEVICES_VIRT_SPEC_H

#include "hv/vm.h"
#include "kernel/lib/types.h"

#define SPEC_ITEMS_MAX 16u

struct spec_item {
	const char *key;   /* "ram", or a bare word */
	const char *value; /* NULL for a bare word */
	bool used;         /* somebody has asked for it */
};

struct spec {
	char text[VM_DEV_SPEC_MAX]; /* cut into items */
	struct spec_item item[SPEC_ITEMS_MAX];
	unsigned int count;
	char *why; /* where what is wrong is written, why_len bytes of the caller's */
	size_t why_len;
};

/** 0, or -RAY_EINVAL/-RAY_E2BIG with @why, to which what is wrong with single items will be
 *  written too. An empty text is no item. */
int __must_check spec_parse(struct spec *s, const char *text, char *why, size_t why_len);

/** Say what is wrong and give @err back: `return spec_fail(s, -RAY_EINVAL, "...");` */
int __must_check spec_fail(const struct spec *s, int err, const char *fmt, ...) __printf_fmt(3, 4);

/* Each marks what it finds as used. Values stay the spec's memory. */

/** Value of @key, NULL when it is not there or a bare word. */
const char *spec_text(struct spec *s, const char *key);
/** Is the bare word there? */
bool spec_flag(struct spec *s, const char *word);
/** Numbers: *out is left alone when the key is not there. 0, or -RAY_E* with s->why naming the
 *  key. Sizes take K, M, G. */
int __must_check spec_size(struct spec *s, const char *key, uint64_t *out);
int __must_check spec_u64(struct spec *s, const char *key, uint64_t min, uint64_t max,
			  uint64_t *out);
/** Bits a second, as parse_rate() reads them. */
int __must_check spec_rate(struct spec *s, const char *key, uint64_t *out);
/** After all were asked for: 0, or -RAY_EINVAL with s->why naming the first nobody knows and
 *  @options. */
int __must_check spec_all_used(const struct spec *s, const char *options);

#endif
