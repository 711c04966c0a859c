// SPDX-License-Identifier: Apache-2.0
/*
 * Owns: number and string formatting, the printf engine behind buffers and sinks.
 * No state, no allocation; any context, panic included.
 */
#include "kernel/lib/fmt.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "kernel/lib/sink.h"

enum length { LEN_INT, LEN_CHAR, LEN_SHORT, LEN_LONG };

struct spec {
	bool left, zero, plus, space, alt, has_prec;
	int width, prec;
	enum length len;
};

struct out {
	struct sink *sink;
	size_t total;
};

/* Sign or 0x, and room for 64 bits in octal with a leading 0. */
struct number {
	char prefix[3];
	char digits[24];
	size_t ndigits;
};

static void emit(struct out *o, const char *s, size_t n)
{
	if (n > 0)
		o->sink->put(o->sink, s, n);
	o->total += n;
}

static void emit_fill(struct out *o, char c, size_t n)
{
	sink_fill(o->sink, c, n);
	o->total += n;
}

static size_t pad_len(int width, size_t used)
{
	return width > 0 && (size_t)width > used ? (size_t)width - used : 0;
}

static void emit_text(struct out *o, const struct spec *sp, const char *s, size_t n)
{
	size_t pad = pad_len(sp->width, n);

	if (!sp->left)
		emit_fill(o, ' ', pad);
	emit(o, s, n);
	if (sp->left)
		emit_fill(o, ' ', pad);
}

static void emit_number(struct out *o, const struct spec *sp, const struct number *num)
{
	size_t plen = strlen(num->prefix);
	size_t zeros = sp->has_prec ? pad_len(sp->prec, num->ndigits) : 0;
	size_t pad = pad_len(sp->width, plen + zeros + num->ndigits);

	if (sp->zero && !sp->left && !sp->has_prec) {
		zeros = pad;
		pad = 0;
	}
	if (!sp->left)
		emit_fill(o, ' ', pad);
	emit(o, num->prefix, plen);
	emit_fill(o, '0', zeros);
	emit(o, num->digits + sizeof(num->digits) - num->ndigits, num->ndigits);
	if (sp->left)
		emit_fill(o, ' ', pad);
}

static void number_digits(struct number *num, uint64_t v, unsigned int base, bool upper)
{
	const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char *p = num->digits + sizeof(num->digits);

	do {
		*--p = set[v % base];
		v /= base;
	} while (v);
	num->ndigits = (size_t)(num->digits + sizeof(num->digits) - p);
}

static uint64_t arg_unsigned(const struct spec *sp, va_list *ap)
{
	switch (sp->len) {
	case LEN_CHAR:
		return (unsigned char)va_arg(*ap, unsigned int);
	case LEN_SHORT:
		return (unsigned short)va_arg(*ap, unsigned int);
	case LEN_LONG:
		return va_arg(*ap, unsigned long);
	case LEN_INT:
		break;
	}
	return va_arg(*ap, unsigned int);
}

static int64_t arg_signed(const struct spec *sp, va_list *ap)
{
	switch (sp->len) {
	case LEN_CHAR:
		return (signed char)va_arg(*ap, int);
	case LEN_SHORT:
		return (short)va_arg(*ap, int);
	case LEN_LONG:
		return va_arg(*ap, long);
	case LEN_INT:
		break;
	}
	return va_arg(*ap, int);
}

static void format_signed(struct out *o, const struct spec *sp, int64_t v)
{
	struct number num = { .prefix = "" };

	if (v < 0)
		num.prefix[0] = '-';
	else if (sp->plus)
		num.prefix[0] = '+';
	else if (sp->space)
		num.prefix[0] = ' ';
	number_digits(&num, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, false);
	if (v == 0 && sp->has_prec && sp->prec == 0)
		num.ndigits = 0;
	emit_number(o, sp, &num);
}

static void format_unsigned(struct out *o, const struct spec *sp, char conv, uint64_t v)
{
	struct number num = { .prefix = "" };
	unsigned int base = conv == 'u' ? 10 : conv == 'o' ? 8 : 16;

	number_digits(&num, v, base, conv == 'X');
	if (v == 0 && sp->has_prec && sp->prec == 0)
		num.ndigits = 0;
	if (sp->alt && base == 16 && v != 0) {
		num.prefix[0] = '0';
		num.prefix[1] = conv;
	}
	/* An octal number gets its leading 0 as a digit, unless precision gives it one. */
	if (sp->alt && base == 8 && (v != 0 || num.ndigits == 0) &&
	    !(sp->has_prec && (size_t)sp->prec > num.ndigits))
		num.digits[sizeof(num.digits) - ++num.ndigits] = '0';
	emit_number(o, sp, &num);
}

static void format_string(struct out *o, const struct spec *sp, const char *s)
{
	if (!s)
		s = "(null)";
	/* With a precision the string need not be terminated. */
	emit_text(o, sp, s, sp->has_prec && sp->prec >= 0 ? strnlen(s, (size_t)sp->prec)
	                                                  : strlen(s));
}

static int parse_count(const char **fmt, va_list *ap)
{
	int v = 0;

	if (**fmt == '*') {
		(*fmt)++;
		return va_arg(*ap, int);
	}
	for (; isdigit(**fmt); (*fmt)++) {
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, **fmt - '0', &v))
			v = INT_MAX / 10 - 1; /* absurd, but defined */
	}
	return v;
}

static void parse_flags(const char **fmt, struct spec *sp)
{
	for (;; (*fmt)++) {
		switch (**fmt) {
		case '-':
			sp->left = true;
			break;
		case '0':
			sp->zero = true;
			break;
		case '+':
			sp->plus = true;
			break;
		case ' ':
			sp->space = true;
			break;
		case '#':
			sp->alt = true;
			break;
		default:
			return;
		}
	}
}

static void parse_length(const char **fmt, struct spec *sp)
{
	char c = **fmt;

	if (c == 'h') {
		(*fmt)++;
		sp->len = LEN_SHORT;
		if (**fmt == 'h') {
			(*fmt)++;
			sp->len = LEN_CHAR;
		}
	} else if (c == 'l' || c == 'z' || c == 't' || c == 'j') {
		(*fmt)++;
		sp->len = LEN_LONG;
		if (c == 'l' && **fmt == 'l')
			(*fmt)++;
	}
}

static void parse_spec(const char **fmt, struct spec *sp, va_list *ap)
{
	*sp = (struct spec){ 0 };
	parse_flags(fmt, sp);
	sp->width = parse_count(fmt, ap);
	if (sp->width < 0) {
		sp->left = true;
		sp->width = sp->width == INT_MIN ? INT_MAX : -sp->width;
	}
	if (**fmt == '.') {
		(*fmt)++;
		sp->prec = parse_count(fmt, ap);
		sp->has_prec = sp->prec >= 0;
	}
	parse_length(fmt, sp);
}

/* Returns false for a conversion that does not exist. */
static bool convert(struct out *o, struct spec *sp, char conv, va_list *ap)
{
	char c;

	switch (conv) {
	case 'd':
	case 'i':
		format_signed(o, sp, arg_signed(sp, ap));
		return true;
	case 'u':
	case 'x':
	case 'X':
	case 'o':
		format_unsigned(o, sp, conv, arg_unsigned(sp, ap));
		return true;
	case 'p':
		sp->alt = true;
		format_unsigned(o, sp, 'x', (uintptr_t)va_arg(*ap, void *));
		return true;
	case 'c':
		c = (char)va_arg(*ap, int);
		emit_text(o, sp, &c, 1);
		return true;
	case 's':
		format_string(o, sp, va_arg(*ap, const char *));
		return true;
	case '%':
		emit(o, "%", 1);
		return true;
	default:
		return false;
	}
}

size_t sink_vprintf(struct sink *s, const char *fmt, va_list ap)
{
	struct out o = { .sink = s };
	struct spec sp;
	va_list args;

	va_copy(args, ap); /* a va_list parameter cannot be passed on by address portably */
	while (*fmt) {
		const char *start = fmt;

		while (*fmt && *fmt != '%')
			fmt++;
		emit(&o, start, (size_t)(fmt - start));
		if (!*fmt)
			break;
		start = fmt++;
		parse_spec(&fmt, &sp, &args);
		if (!*fmt || !convert(&o, &sp, *fmt, &args)) {
			emit(&o, start, strlen(start));
			break;
		}
		fmt++;
	}
	va_end(args);
	return o.total;
}

size_t sink_printf(struct sink *s, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = sink_vprintf(s, fmt, ap);
	va_end(ap);
	return n;
}

int ray_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct buf_sink b;
	size_t n;

	buf_sink_init(&b, buf, size);
	n = sink_vprintf(&b.sink, fmt, ap);
	return n > INT_MAX ? INT_MAX : (int)n;
}

int ray_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = ray_vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

size_t ray_scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = (size_t)ray_vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	if (n < size)
		return n;
	return size > 0 ? size - 1 : 0;
}
