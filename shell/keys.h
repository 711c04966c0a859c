/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes from a terminal into keys: control codes, UTF-8 text, VT100/xterm escape sequences.
 * Owns: the decoding state. Pure; must not know what a key does.
 */
#ifndef RAYOS_SHELL_KEYS_H
#define RAYOS_SHELL_KEYS_H

#include "kernel/lib/types.h"
#include "kernel/lib/utf8.h"

enum key {
	KEY_NONE,   /* nothing complete yet, or nothing we know */
	KEY_TEXT,   /* one printable character, in keydec.text */
	KEY_ENTER,
	KEY_TAB,
	KEY_BACKSPACE,
	KEY_DELETE,
	KEY_LEFT,
	KEY_RIGHT,
	KEY_UP,
	KEY_DOWN,
	KEY_HOME,
	KEY_END,
	KEY_WORD_LEFT,
	KEY_WORD_RIGHT,
	KEY_KILL_END,
	KEY_KILL_START,
	KEY_KILL_WORD,
	KEY_SEARCH,
	KEY_CANCEL, /* Ctrl-C */
	KEY_ABORT,  /* Ctrl-G */
	KEY_CLEAR,
	KEY_CURSOR_REPORT, /* answer to ESC [ 6 n, in keydec.param: row, column */
	KEY_INVALID,       /* bytes that are no character; dropped */
};

#define KEYDEC_PARAMS 2u

struct keydec {
	enum { KEYDEC_GROUND, KEYDEC_ESC, KEYDEC_CSI, KEYDEC_SS3, KEYDEC_UTF8 } state;
	bool after_cr; /* an LF right behind a CR is part of it */
	char text[UTF8_MAX];
	size_t text_len;
	unsigned int param[KEYDEC_PARAMS];
	unsigned int nparam;
};

/**
 * Take one byte, @c. A zeroed struct is the initial state.
 * Returns: the key it completes, or KEY_NONE
 * Trust:   any byte in any order
 */
enum key keys_feed(struct keydec *d, uint8_t c);

#endif
