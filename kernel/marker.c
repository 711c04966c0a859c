/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/marker.h"

#include <stdarg.h>

#include "kernel/console.h"
#include "kernel/lib/fmt.h"

#define MARKER_TEXT(sym, text, fields, meaning) [MARKER_##sym] = "RAYOS_" text,
static const char *const marker_texts[MARKER_COUNT] = { RAYOS_MARKERS(MARKER_TEXT) };
#undef MARKER_TEXT

size_t marker_format(char *buf, size_t size, enum marker m, const char *fmt, va_list ap)
{
	size_t n = ray_scnprintf(buf, size, "%s", marker_texts[m]);
	int fields;

	if (fmt[0] == '\0')
		return n;
	n += ray_scnprintf(buf + n, size - n, " ");
	fields = ray_vsnprintf(buf + n, size - n, fmt, ap);
	return MIN(n + (size_t)MAX(fields, 0), size - 1);
}

void marker_print(enum marker m, const char *fmt, ...)
{
	char line[MARKER_LINE_MAX];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = marker_format(line, sizeof(line), m, fmt, ap);
	va_end(ap);
	console_write_line(line, n);
}
