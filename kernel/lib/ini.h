/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pull parser for rayos.conf: one call, one line's meaning. Shared by the boot loader and
 * the kernel; what the keys mean is the caller's. Pure: never allocates, never keeps a
 * pointer into the text, reads each byte once.
 *
 *	# comment            ; comment too; only at the start of a line
 *	key = value          the rest of the line, spaces trimmed
 *	key = "  value "     quotes keep the spaces; what is between them is taken as it is
 *	[section name]
 *
 * Line ends are LF or CR LF; a UTF-8 byte order mark in front is skipped. A key is letters,
 * digits, '_', '-' and '.'. A line that is damaged or too long is one INI_ERROR and parsing
 * goes on behind it, so that all errors of a file can be shown at once.
 */
#ifndef RAYOS_KERNEL_LIB_INI_H
#define RAYOS_KERNEL_LIB_INI_H

#include "kernel/lib/types.h"

#define INI_SECTION_MAX 96u  /* bytes, terminator included */
#define INI_KEY_MAX     64u
#define INI_VALUE_MAX   2048u

enum ini_event {
	INI_END,     /* no more lines */
	INI_SECTION, /* section is new */
	INI_PAIR,    /* key and value are new; section is the one they stand in, "" before any */
	INI_ERROR,   /* line is not understood; error says why; go on or stop */
};

struct ini {
	const char *next, *end;
	unsigned int line;  /* of the event just returned, from 1 */
	const char *error;  /* static text */
	char section[INI_SECTION_MAX];
	char key[INI_KEY_MAX];
	char value[INI_VALUE_MAX];
};

/**
 * Begin.
 * @text, @len  need not be terminated; must stay while the parser is used
 * Trust:       any bytes
 */
void ini_init(struct ini *ini, const void *text, size_t len);

/** The next line that means something. Context: any. Trust: as ini_init(). */
enum ini_event ini_next(struct ini *ini);

#endif
