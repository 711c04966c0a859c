// SPDX-License-Identifier: Apache-2.0
/* Owns: plain writes to a sink, and the sink into a buffer. Context: that of the sink. */
#include "kernel/lib/sink.h"

#include <string.h>

void sink_puts(struct sink *s, const char *str)
{
	size_t n = strlen(str);

	if (n > 0)
		s->put(s, str, n);
}

void sink_fill(struct sink *s, char c, size_t n)
{
	char chunk[32];

	if (n == 0)
		return;
	memset(chunk, c, MIN(n, sizeof(chunk)));
	for (; n > sizeof(chunk); n -= sizeof(chunk))
		s->put(s, chunk, sizeof(chunk));
	s->put(s, chunk, n);
}

static void buf_sink_put(struct sink *self, const char *data, size_t len)
{
	struct buf_sink *b = container_of(self, struct buf_sink, sink);
	size_t room = b->size > b->len ? b->size - b->len - 1 : 0;
	size_t n = MIN(len, room);

	if (n > 0) {
		memcpy(b->buf + b->len, data, n);
		b->len += n;
		b->buf[b->len] = '\0';
	}
	b->lost += len - n;
}

void buf_sink_init(struct buf_sink *b, char *buf, size_t size)
{
	*b = (struct buf_sink){ .sink = { buf_sink_put }, .buf = buf, .size = size };
	if (size > 0)
		buf[0] = '\0';
}
