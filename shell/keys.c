// SPDX-License-Identifier: Apache-2.0
/*
 * Owns: the terminal's input language (ECMA-48 sequences as VT100 and xterm send them).
 * State is the caller's struct keydec; any context.
 */
#include "shell/keys.h"

#include <ctype.h>

#define ESC       0x1b
#define PARAM_MAX 9999u
#define MOD_CTRL  5u /* xterm: second parameter is 1 + modifier bits, control = 4 */

static enum key control_key(struct keydec *d, uint8_t c)
{
	bool after_cr = d->after_cr;

	d->after_cr = c == '\r';
	switch (c) {
	case 0x01: /* Ctrl-A */
		return KEY_HOME;
	case 0x02:
		return KEY_LEFT;
	case 0x03:
		return KEY_CANCEL;
	case 0x04:
		return KEY_DELETE;
	case 0x05:
		return KEY_END;
	case 0x06:
		return KEY_RIGHT;
	case 0x07:
		return KEY_ABORT;
	case 0x08:
	case 0x7f:
		return KEY_BACKSPACE;
	case '\t':
		return KEY_TAB;
	case '\n':
		return after_cr ? KEY_NONE : KEY_ENTER;
	case '\r':
		return KEY_ENTER;
	case 0x0b:
		return KEY_KILL_END;
	case 0x0c:
		return KEY_CLEAR;
	case 0x0e:
		return KEY_DOWN;
	case 0x10:
		return KEY_UP;
	case 0x12:
		return KEY_SEARCH;
	case 0x15:
		return KEY_KILL_START;
	case 0x17:
		return KEY_KILL_WORD;
	case ESC:
		d->state = KEYDEC_ESC;
		return KEY_NONE;
	default:
		return KEY_NONE;
	}
}

/* U+0080..U+009F: control characters in two bytes, which some terminals obey. */
static bool is_c1(const char *s, size_t len)
{
	return len == 2 && (uint8_t)s[0] == 0xc2 && (uint8_t)s[1] < 0xa0;
}

static enum key text_byte(struct keydec *d, uint8_t c)
{
	int n;

	d->after_cr = false;
	d->text[d->text_len++] = (char)c;
	n = utf8_char_len(d->text, d->text_len);
	if (n < 0) {
		d->state = KEYDEC_UTF8;
		return KEY_NONE;
	}
	d->state = KEYDEC_GROUND;
	return n == 0 || is_c1(d->text, d->text_len) ? KEY_INVALID : KEY_TEXT;
}

static enum key letter_key(char c, bool ctrl)
{
	switch (c) {
	case 'A':
		return KEY_UP;
	case 'B':
		return KEY_DOWN;
	case 'C':
		return ctrl ? KEY_WORD_RIGHT : KEY_RIGHT;
	case 'D':
		return ctrl ? KEY_WORD_LEFT : KEY_LEFT;
	case 'F':
		return KEY_END;
	case 'H':
		return KEY_HOME;
	default:
		return KEY_NONE;
	}
}

static enum key csi_final(const struct keydec *d, uint8_t c)
{
	if (c == 'R' && d->nparam == 1)
		return KEY_CURSOR_REPORT;
	if (c != '~')
		return letter_key((char)c, d->param[1] == MOD_CTRL);
	switch (d->param[0]) {
	case 1:
	case 7:
		return KEY_HOME;
	case 3:
		return KEY_DELETE;
	case 4:
	case 8:
		return KEY_END;
	default:
		return KEY_NONE;
	}
}

static enum key csi_byte(struct keydec *d, uint8_t c)
{
	if (isdigit(c)) {
		unsigned int v = d->param[d->nparam] * 10 + (c - '0');

		d->param[d->nparam] = MIN(v, PARAM_MAX);
	} else if (c == ';') {
		/* Further parameters overwrite the last one; no key we know has them. */
		d->nparam = MIN(d->nparam + 1, KEYDEC_PARAMS - 1);
		d->param[d->nparam] = 0;
	} else if (c >= 0x40) {
		d->state = KEYDEC_GROUND;
		return csi_final(d, c);
	}
	return KEY_NONE;
}

static enum key esc_byte(struct keydec *d, uint8_t c)
{
	d->state = KEYDEC_GROUND;
	switch (c) {
	case '[':
		d->state = KEYDEC_CSI;
		d->nparam = 0;
		d->param[0] = 0;
		d->param[1] = 0;
		return KEY_NONE;
	case 'O':
		d->state = KEYDEC_SS3;
		return KEY_NONE;
	case 'b':
		return KEY_WORD_LEFT;
	case 'f':
		return KEY_WORD_RIGHT;
	default:
		return KEY_NONE;
	}
}

enum key keys_feed(struct keydec *d, uint8_t c)
{
	/* A control code ends whatever was being collected and counts for itself. */
	if (c < 0x20 || c == 0x7f) {
		d->state = KEYDEC_GROUND;
		return control_key(d, c);
	}
	switch (d->state) {
	case KEYDEC_ESC:
		return esc_byte(d, c);
	case KEYDEC_CSI:
		if (c < 0x80)
			return csi_byte(d, c);
		break;
	case KEYDEC_SS3:
		d->state = KEYDEC_GROUND;
		return letter_key((char)c, false);
	case KEYDEC_UTF8:
		/* A byte that cannot continue the character may begin one. */
		if ((c & 0xc0) == 0x80)
			return text_byte(d, c);
		break;
	case KEYDEC_GROUND:
		break;
	}
	d->text_len = 0;
	return text_byte(d, c);
}
