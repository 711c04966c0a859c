// SPDX-License-Identifier: Apache-2.0
/* Owns: strict number and word reading. No state; any context. */
#include "kernel/lib/parse.h"

#include <ctype.h>
#include <string.h>

#include "kernel/lib/err.h"

static int digit_of(char c, unsigned int base, unsigned int *out)
{
	unsigned int d;

	if (isdigit((unsigned char)c))
		d = (unsigned int)(c - '0');
	else if (isxdigit((unsigned char)c))
		d = (unsigned int)(tolower((unsigned char)c) - 'a') + 10u;
	else
		return -RAY_EINVAL;
	if (d >= base)
		return -RAY_EINVAL;
	*out = d;
	return 0;
}

/* Reads digits up to the first other byte; *end is left there. */
static int read_digits(const char *s, const char **end, uint64_t *out)
{
	unsigned int base = 10, d;
	bool over = false;
	uint64_t v = 0;
	const char *first;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	for (first = s; digit_of(*s, base, &d) == 0; s++) {
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
			over = true;
	}
	*end = s;
	if (s == first)
		return -RAY_EINVAL;
	*out = v;
	return over ? -RAY_ERANGE : 0;
}

int parse_u64(const char *s, uint64_t *out)
{
	const char *end;
	uint64_t v = 0;
	int err = read_digits(s, &end, &v);

	if (*end != '\0')
		return -RAY_EINVAL; /* also when the digits before it were too many */
	if (err == 0)
		*out = v;
	return err;
}

/* Shift of a size suffix, or -1. */
static int suffix_shift(const char *s)
{
	static const char units[] = "kmgt";
	const char *u;

	if (*s == '\0')
		return 0;
	u = strchr(units, tolower((unsigned char)*s));
	if (!u || *u == '\0')
		return -1;
	if (s[1] != '\0' && strcasecmp(s + 1, "b") != 0 && strcasecmp(s + 1, "ib") != 0)
		return -1;
	return 10 * (int)(u - units + 1);
}

int parse_size(const char *s, uint64_t *out)
{
	const char *end;
	uint64_t v = 0;
	int err = read_digits(s, &end, &v);
	int shift = suffix_shift(end);

	if (shift < 0)
		return -RAY_EINVAL;
	if (err < 0)
		return err;
	if (shift > 0 && v >> (64 - shift) != 0)
		return -RAY_ERANGE;
	*out = v << shift;
	return 0;
}

static int in_range(int err, uint64_t v, uint64_t min, uint64_t max, uint64_t *out)
{
	if (err < 0)
		return err;
	if (v < min || v > max)
		return -RAY_ERANGE;
	*out = v;
	return 0;
}

int parse_u64_range(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	int err = parse_u64(s, &v);

	return in_range(err, v, min, max, out);
}

int parse_size_range(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	int err = parse_size(s, &v);

	return in_range(err, v, min, max, out);
}

int parse_rate(const char *s, uint64_t *out)
{
	static const char units[] = "KMG";
	uint64_t v = 0, unit = 1;
	const char *u, *p = s;

	if (strcmp(s, "unlimited") == 0) {
		*out = 0;
		return 0;
	}
	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (uint64_t)(*p - '0');
		if (v > PARSE_RATE_MAX)
			return -RAY_ERANGE;
	}
	if (p == s)
		return -RAY_EINVAL;
	if (*p) {
		u = strchr(units, *p & ~0x20);
		if (!u || !*u || p[1])
			return -RAY_EINVAL;
		for (; u >= units; u--)
			unit *= 1000;
	}
	if (v > PARSE_RATE_MAX / unit)
		return -RAY_ERANGE;
	*out = v * unit;
	return 0;
}

int parse_bool(const char *s, bool *out)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcasecmp(s, yes[i]) == 0) {
			*out = true;
			return 0;
		}
		if (strcasecmp(s, no[i]) == 0) {
			*out = false;
			return 0;
		}
	}
	return -RAY_EINVAL;
}

void format_size(struct sink *out, uint64_t bytes)
{
	static const char units[] = "KMGT";
	int unit = -1;

	while (bytes != 0 && bytes % 1024 == 0 && unit < 3) {
		bytes /= 1024;
		unit++;
	}
	sink_printf(out, "%llu", (unsigned long long)bytes);
	if (unit >= 0)
		sink_fill(out, units[unit], 1);
}

void parse_explain(struct sink *out, int err, const char *what, const char *value, uint64_t min,
		   uint64_t max)
{
	if (err == -RAY_ERANGE)
		sink_printf(out, "%s: %s is outside %llu to %llu", what, value,
			    (unsigned long long)min, (unsigned long long)max);
	else
		sink_printf(out, "%s: '%s' is not a number", what, value);
}

void parse_explain_size(struct sink *out, int err, const char *what, const char *value,
			uint64_t min, uint64_t max)
{
	if (err != -RAY_ERANGE) {
		sink_printf(out, "%s: '%s' is not a size (a number with K, M, G or T)", what, value);
		return;
	}
	sink_printf(out, "%s: %s is outside ", what, value);
	format_size(out, min);
	sink_puts(out, " to ");
	format_size(out, max);
}
