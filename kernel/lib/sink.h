/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where text goes: a console, a buffer, a log. Embedded in the object that receives it.
 * Owns: the interface and its printf. Knows nothing of the receivers.
 */
#ifndef RAYOS_KERNEL_LIB_SINK_H
#define RAYOS_KERNEL_LIB_SINK_H

#include <stdarg.h>

#include "kernel/lib/types.h"

struct sink {
	/* Takes all @len bytes, len > 0; not terminated. It cannot fail: a receiver that runs
	 * full remembers that itself. */
	void (*put)(struct sink *self, const char *data, size_t len);
};

/**
 * Format into a sink, with the conversions of ray_vsnprintf().
 * Context: that of the sink; no allocation, about 300 bytes of stack
 * Returns: bytes written
 */
size_t sink_printf(struct sink *s, const char *fmt, ...) __printf_fmt(2, 3);
size_t sink_vprintf(struct sink *s, const char *fmt, va_list ap) __printf_fmt(2, 0);

/** Write a terminated string; @c @n times. */
void sink_puts(struct sink *s, const char *str);
void sink_fill(struct sink *s, char c, size_t n);

/* A sink into a fixed buffer, always terminated (size > 0). @lost counts what did not fit. */
struct buf_sink {
	struct sink sink;
	char *buf;
	size_t size, len, lost;
};

void buf_sink_init(struct buf_sink *b, char *buf, size_t size);

#endif
