/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints marker lines (kernel/markers.h has the list). A marker reaches the serial console as
 * one uninterrupted line at column 0, whatever else is being printed, and the log ring.
 */
#ifndef RAYOS_KERNEL_MARKER_H
#define RAYOS_KERNEL_MARKER_H

#include <stdarg.h>

#include "kernel/lib/types.h"
#include "kernel/markers.h"

#define MARKER_LINE_MAX 256u

#define RAYOS_MARKER_ENUM(sym, text, fields, meaning) MARKER_##sym,
enum marker { RAYOS_MARKERS(RAYOS_MARKER_ENUM) MARKER_COUNT };
#undef RAYOS_MARKER_ENUM

/**
 * Print one marker line.
 * @m    which
 * @fmt  the fields in the order of the list, "name=%s reason=%s"; "" for none. Values that
 *       come from outside must be free of spaces and control bytes (marker_value() cleans).
 * Context: any but NMI.
 */
void marker_print(enum marker m, const char *fmt, ...) __printf_fmt(2, 3);

/**
 * Make the line without printing it. Context: any.
 * Returns: its length; it is cut to fit and always terminated. @size > 0.
 */
size_t marker_format(char *buf, size_t size, enum marker m, const char *fmt, va_list ap)
	__printf_fmt(4, 0);

/**
 * Copy @s for use as a field's value: spaces, control bytes and non-ASCII become "_".
 * Returns: @buf, terminated when size > 0. Context: any. Trust: @s may come from anywhere.
 */
char *marker_value(char *buf, size_t size, const char *s);

#endif
