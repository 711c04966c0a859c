/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <stdio.h> of the freestanding kernel: formatting into buffers, by kernel/lib/fmt.c (no
 * floating point, no %n). There are no streams.
 */
#ifndef RAYOS_LIBC_STDIO_H
#define RAYOS_LIBC_STDIO_H

#include <stdarg.h>
#include <stddef.h>

int ray_snprintf(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int ray_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

#define snprintf  ray_snprintf
#define vsnprintf ray_vsnprintf

#endif
