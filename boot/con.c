/* SPDX-License-Identifier: Apache-2.0 */
/* Console and log of the loader, see con.h. */
#include "boot/con.h"

#include <stdarg.h>
#include <stdio.h>

#include "boot/efi.h"
#include "kernel/lib/sink.h"

#define LOG_SIZE 8192u
#define LINE_MAX 256u

#define MARKER_TEXT(sym, text, fields, meaning) [MARKER_##sym] = "RAYOS_" text,
static const char *const marker_text[MARKER_COUNT] = {RAYOS_MARKERS(MARKER_TEXT)};
#undef MARKER_TEXT

static char log_text[LOG_SIZE];
static struct buf_sink log_sink;

static void show(const char *s)
{
	CHAR16 out[LINE_MAX * 2 + 1];
	size_t n = 0;

	if (efi_st->ConOut == NULL)
		return;
	for (; *s != '\0' && n < ARRAY_SIZE(out) - 2; s++) {
		uint8_t c = (uint8_t)*s;

		if (c == '\n')
			out[n++] = '\r';
		out[n++] = (c == '\n' || (c >= ' ' && c < 0x7f)) ? c : '?';
	}
	out[n] = 0;
	efi_st->ConOut->OutputString(efi_st->ConOut, out);
}

static void record(const char *s)
{
	if (log_sink.size == 0)
		buf_sink_init(&log_sink, log_text, sizeof(log_text));
	sink_puts(&log_sink.sink, s);
}

void con_print(const char *fmt, ...)
{
	char line[LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	show(line);
	record(line);
}

void con_warn(const char *fmt, ...)
{
	char line[LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	con_print("warning: %s", line);
}

void con_marker(enum con_marker m, const char *fmt, ...)
{
	char fields[LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(fields, sizeof(fields), fmt, ap);
	va_end(ap);
	con_show("%s %s\n", marker_text[m], fields);
}

void con_show(const char *fmt, ...)
{
	char line[LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	show(line);
}

int con_key(void)
{
	EFI_INPUT_KEY key;
	UINTN index;

	if (efi_st->ConIn == NULL)
		return -1;
	for (;;) {
		if (EFI_ERROR(efi_bs->WaitForEvent(1, &efi_st->ConIn->WaitForKey, &index)))
			return -1;
		/* The event may also fire for a key this console does not deliver. */
		if (!EFI_ERROR(efi_st->ConIn->ReadKeyStroke(efi_st->ConIn, &key)))
			return key.UnicodeChar < 0x80 ? (int)key.UnicodeChar : 0;
	}
}

const char *con_log(size_t *len)
{
	*len = log_sink.len;
	return log_text;
}
