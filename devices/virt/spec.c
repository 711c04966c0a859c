/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/spec.h"

#include <stdarg.h>
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/parse.h"
#include "kernel/lib/sink.h"

int spec_fail(const struct spec *s, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ray_vsnprintf(s->why, s->why_len, fmt, ap);
	va_end(ap);
	return err;
}

static int item_add(struct spec *s, char *text)
{
	struct spec_item *item = &s->item[s->count];
	char *eq = strchr(text, '=');

	if (s->count == SPEC_ITEMS_MAX)
		return spec_fail(s, -RAY_E2BIG, "more than %u options", SPEC_ITEMS_MAX);
	if (*text == '\0' || eq == text)
		return spec_fail(s, -RAY_EINVAL, "an option without a name");
	if (eq)
		*eq = '\0';
	for (unsigned int i = 0; i < s->count; i++) {
		if (strcmp(s->item[i].key, text) == 0)
			return spec_fail(s, -RAY_EINVAL, "'%.32s' stands there twice", text);
	}
	*item = (struct spec_item){.key = text, .value = eq ? eq + 1 : NULL};
	s->count++;
	return 0;
}

int spec_parse(struct spec *s, const char *text, char *why, size_t why_len)
{
	char *p = s->text;
	int err = 0;

	s->count = 0;
	s->why = why;
	s->why_len = why_len;
	if (strlcpy(s->text, text, sizeof(s->text)) >= sizeof(s->text))
		return spec_fail(s, -RAY_E2BIG, "longer than %lu bytes",
				 (unsigned long)sizeof(s->text) - 1);
	while (p && *s->text && !err) {
		char *comma = strchr(p, ',');

		if (comma)
			*comma = '\0';
		err = item_add(s, p);
		p = comma ? comma + 1 : NULL;
	}
	return err;
}

static const struct spec_item *find(struct spec *s, const char *key)
{
	for (unsigned int i = 0; i < s->count; i++) {
		if (strcmp(s->item[i].key, key) == 0) {
			s->item[i].used = true;
			return &s->item[i];
		}
	}
	return NULL;
}

const char *spec_text(struct spec *s, const char *key)
{
	const struct spec_item *item = find(s, key);

	return item ? item->value : NULL;
}

bool spec_flag(struct spec *s, const char *word)
{
	const struct spec_item *item = find(s, word);

	return item && !item->value;
}

int spec_size(struct spec *s, const char *key, uint64_t *out)
{
	const char *value = spec_text(s, key);
	int err = value ? parse_size(value, out) : 0;
	struct buf_sink b;

	if (err) {
		buf_sink_init(&b, s->why, s->why_len);
		parse_explain_size(&b.sink, err, key, value, 0, UINT64_MAX);
	}
	return err;
}

int spec_u64(struct spec *s, const char *key, uint64_t min, uint64_t max, uint64_t *out)
{
	const char *value = spec_text(s, key);
	int err = value ? parse_u64_range(value, min, max, out) : 0;
	struct buf_sink b;

	if (err) {
		buf_sink_init(&b, s->why, s->why_len);
		parse_explain(&b.sink, err, key, value, min, max);
	}
	return err;
}

int spec_rate(struct spec *s, const char *key, uint64_t *out)
{
	const char *value = spec_text(s, key);
	int err = value ? parse_rate(value, out) : 0;

	if (err)
		return spec_fail(s, err, "%s: '%.32s' is not like 100M, 10G or unlimited", key,
				 value);
	return 0;
}

int spec_all_used(const struct spec *s, const char *options)
{
	for (unsigned int i = 0; i < s->count; i++) {
		if (!s->item[i].used)
			return spec_fail(s, -RAY_EINVAL, "unknown option '%.32s'; there are: %s",
					 s->item[i].key, options);
	}
	return 0;
}
