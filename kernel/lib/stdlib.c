// SPDX-License-Identifier: Apache-2.0
/*
 * Number reading in C's own way, for third-party parts. Owns: libc/stdlib.h. No state; any
 * context. Our own code uses parse.h, which reports what is wrong.
 */
#include <stdlib.h>

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>

static unsigned int digit_value(char c)
{
	if (isdigit(c))
		return (unsigned int)(c - '0');
	if (isalpha(c))
		return (unsigned int)(tolower(c) - 'a') + 10u;
	return UINT_MAX;
}

/* Reads sign, prefix and digits; *over is set when the magnitude passed ULLONG_MAX. */
static unsigned long long read_number(const char *s, char **end, int base, bool *neg, bool *over)
{
	const char *p = s;
	unsigned long long v = 0;
	bool any = false;

	*neg = false;
	*over = false;
	while (isspace(*p))
		p++;
	if (*p == '+' || *p == '-')
		*neg = *p++ == '-';
	if ((base == 0 || base == 16) && p[0] == '0' && (p[1] == 'x' || p[1] == 'X') &&
	    isxdigit(p[2])) {
		p += 2;
		base = 16;
	} else if (base == 0) {
		base = *p == '0' ? 8 : 10;
	}
	for (; digit_value(*p) < (unsigned int)base; p++) {
		any = true;
		if (__builtin_mul_overflow(v, (unsigned int)base, &v) ||
		    __builtin_add_overflow(v, digit_value(*p), &v))
			*over = true;
	}
	if (end)
		*end = (char *)(size_t)(any ? p : s);
	return *over ? ULLONG_MAX : v;
}

unsigned long long strtoull(const char *restrict s, char **restrict end, int base)
{
	bool neg, over;
	unsigned long long v = read_number(s, end, base, &neg, &over);

	return neg && !over ? 0 - v : v;
}

long long strtoll(const char *restrict s, char **restrict end, int base)
{
	bool neg, over;
	unsigned long long v = read_number(s, end, base, &neg, &over);

	if (neg)
		return v > (unsigned long long)LLONG_MAX ? LLONG_MIN : -(long long)v;
	return v > (unsigned long long)LLONG_MAX ? LLONG_MAX : (long long)v;
}

unsigned long strtoul(const char *restrict s, char **restrict end, int base)
{
	return strtoull(s, end, base);
}

long strtol(const char *restrict s, char **restrict end, int base)
{
	return strtoll(s, end, base);
}

int atoi(const char *s)
{
	return (int)strtol(s, NULL, 10);
}
