/* SPDX-License-Identifier: Apache-2.0 */
/*
 * printf-style formatting without floating point. Pure; sink.h has the form for sinks.
 *
 * Conversions: d i u x X o c s p %; flags - 0 + space #; width and precision as numbers
 * or *; length hh h l ll z t j. %n and the floating-point ones do not exist: an unknown
 * conversion is copied to the output as it stands and formatting stops there, since the
 * arguments behind it cannot be found any more. A NULL %s prints "(null)".
 */
#ifndef RAYOS_KERNEL_LIB_FMT_H
#define RAYOS_KERNEL_LIB_FMT_H

#include <stdarg.h>

#include "kernel/lib/types.h"

/**
 * Format into @buf, always terminated when size > 0.
 * Context: any
 * Returns: length the whole text has; >= size means it was cut. Saturates at INT_MAX.
 */
int ray_snprintf(char *buf, size_t size, const char *fmt, ...) __printf_fmt(3, 4);
int ray_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) __printf_fmt(3, 0);

/**
 * As ray_snprintf(), but returns the bytes actually stored (without the terminator), so that
 * calls can be chained: n += ray_scnprintf(buf + n, size - n, ...).
 */
size_t ray_scnprintf(char *buf, size_t size, const char *fmt, ...) __printf_fmt(3, 4);

#endif
