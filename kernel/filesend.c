/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/filesend.h"

#include <zlib.h>

#include "kernel/console.h"
#include "kernel/lib/base64.h"
#include "kernel/marker.h"
#include "kernel/time/time.h"

#define LINE_BYTES 57u /* 76 characters */
/* Together a call of console_write_serial() that stays in one piece. */
#define LINES      24u
#define TELL_NS    2000000000ull

static size_t lines_encode(char *text, const uint8_t *data, size_t len)
{
	size_t n = 0;

	for (size_t at = 0; at < len; at += LINE_BYTES) {
		n += base64_encode(text + n, data + at, MIN(len - at, LINE_BYTES));
		text[n++] = '\n';
	}
	return n;
}

int filesend(struct cmd_ctx *ctx, const char *name, const uint8_t *data, size_t len)
{
	char text[LINES * (BASE64_LEN(LINE_BYTES) + 1)];
	uint64_t tell = time_now() + TELL_NS;

	marker_print(MARKER_FILE_BEGIN, "name=%s size=%lu encoding=base64", name,
		     (unsigned long)len);
	for (size_t at = 0; at < len;) {
		size_t n = MIN(len - at, LINES * LINE_BYTES);

		console_write_serial(text, lines_encode(text, data + at, n));
		at += n;
		if (cmd_interrupted(ctx)) {
			marker_print(MARKER_FILE_CANCELED, "name=%s", name);
			return -RAY_ECANCELED;
		}
		if (time_now() >= tell) {
			cmd_printf(ctx, "%s: %lu %% sent\n", name, (unsigned long)(at * 100 / len));
			tell = time_now() + TELL_NS;
		}
	}
	marker_print(MARKER_FILE_END, "name=%s crc32=%08lx", name,
		     (unsigned long)crc32(0, data, (uInt)len));
	return 0;
}
