// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "kernel/fb/text.h"

#define TAB_WIDTH 8u

void text_init(struct text *t, uint8_t *cells, uint16_t cols, uint16_t rows)
{
	memset(t, 0, sizeof(*t));
	t->cells = cells;
	t->cols = cols;
	t->rows = rows;
	t->dirty_end = rows;
	memset(cells, ' ', (size_t)cols * rows);
}

static void touch(struct text *t, unsigned int first, unsigned int end)
{
	t->dirty_first = (uint16_t)MIN(t->dirty_first, first);
	t->dirty_end = (uint16_t)MAX(t->dirty_end, end);
}

/* The top row becomes the empty bottom row: nothing is moved. */
static void line_feed(struct text *t)
{
	if (t->row + 1u < t->rows) {
		t->row++;
		return;
	}
	t->top = (uint16_t)(t->top + 1u == t->rows ? 0 : t->top + 1);
	memset(text_row(t, t->rows - 1u), ' ', t->cols);
	touch(t, 0, t->rows);
}

static void char_put(struct text *t, uint8_t c)
{
	if (t->col == t->cols) {
		t->col = 0;
		line_feed(t);
	}
	text_row(t, t->row)[t->col++] = c;
}

static void control(struct text *t, uint8_t c)
{
	switch (c) {
	case '\n':
		t->col = 0;
		line_feed(t);
		break;
	case '\r':
		t->col = 0;
		break;
	case '\b':
		if (t->col > 0)
			t->col--;
		break;
	case '\t':
		t->col = (uint16_t)MIN((t->col / TAB_WIDTH + 1u) * TAB_WIDTH, t->cols - 1u);
		break;
	case 0x1b:
		t->state = TEXT_ESC;
		break;
	default:
		break;
	}
}

/* ---- sequences: ECMA-48 CSI with up to four numbers ---- */

static unsigned int count_of(const struct text *t)
{
	return t->param[0] != 0 ? t->param[0] : 1;
}

static uint16_t up_to(unsigned int v, unsigned int limit)
{
	return (uint16_t)MIN(v, limit);
}

static void erase(struct text *t, unsigned int from_row, unsigned int from_col,
		  unsigned int to_row, unsigned int to_col)
{
	for (unsigned int r = from_row; r <= to_row && r < t->rows; r++) {
		unsigned int a = r == from_row ? from_col : 0;
		unsigned int b = r == to_row ? to_col : t->cols;

		touch(t, r, r + 1);
		b = MIN(b, t->cols);
		if (a < b)
			memset(text_row(t, r) + a, ' ', b - a);
	}
}

static void erase_line(struct text *t)
{
	unsigned int how = t->param[0];

	erase(t, t->row, how == 0 ? t->col : 0, t->row, how == 1 ? t->col + 1u : t->cols);
}

static void erase_screen(struct text *t)
{
	unsigned int how = t->param[0];

	erase(t, how == 0 ? t->row : 0, how == 0 ? t->col : 0, how == 1 ? t->row : t->rows - 1u,
	      how == 1 ? t->col + 1u : t->cols);
}

static void csi_end(struct text *t, uint8_t final)
{
	unsigned int n = count_of(t), last_row = t->rows - 1u, last_col = t->cols - 1u;

	switch (final) {
	case 'A':
		t->row = (uint16_t)(t->row > n ? t->row - n : 0);
		break;
	case 'B':
		t->row = up_to(t->row + n, last_row);
		break;
	case 'C':
		t->col = up_to(t->col + n, last_col);
		break;
	case 'D':
		t->col = (uint16_t)(t->col > n ? t->col - n : 0);
		break;
	case 'G':
		t->col = up_to(n - 1, last_col);
		break;
	case 'H':
	case 'f':
		t->row = up_to(n - 1, last_row);
		t->col = up_to(t->param[1] != 0 ? t->param[1] - 1u : 0, last_col);
		break;
	case 'J':
		erase_screen(t);
		break;
	case 'K':
		erase_line(t);
		break;
	default: /* colours and the rest: not shown */
		break;
	}
}

static void csi_byte(struct text *t, uint8_t c)
{
	if (c >= '0' && c <= '9' && t->param_count < TEXT_PARAMS) {
		unsigned int v = t->param[t->param_count] * 10u + (c - '0');

		t->param[t->param_count] = up_to(v, 9999);
	} else if (c == ';') {
		if (t->param_count < TEXT_PARAMS)
			t->param_count++;
	} else if (c >= 0x40 && c <= 0x7e) {
		t->state = TEXT_PLAIN;
		csi_end(t, c);
	} else if (c < 0x20) {
		t->state = TEXT_PLAIN;
		control(t, c);
	}
}

static void esc_byte(struct text *t, uint8_t c)
{
	t->state = TEXT_PLAIN;
	if (c != '[')
		return;
	t->state = TEXT_CSI;
	t->param_count = 0;
	memset(t->param, 0, sizeof(t->param));
}

/* Bytes from 0x80 on: the font has Latin-1, everything else becomes '?'. */
static void utf8_byte(struct text *t, uint8_t c)
{
	if ((c & 0xc0) == 0x80 && t->utf8_left > 0) {
		t->utf8_code = t->utf8_code << 6 | (c & 0x3f);
		if (--t->utf8_left == 0)
			char_put(t, t->utf8_code >= 0xa0 && t->utf8_code <= 0xff
					    ? (uint8_t)t->utf8_code : '?');
		return;
	}
	if (c >= 0xc2 && c <= 0xf4) {
		t->utf8_left = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
		t->utf8_code = c & (0x3fu >> t->utf8_left);
		return;
	}
	t->utf8_left = 0;
	char_put(t, '?');
}

void text_write(struct text *t, const char *s, size_t len)
{
	/* The row the cursor leaves, the rows it passes, the row it ends in. */
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)s[i];

		touch(t, t->row, t->row + 1u);
		if (t->state == TEXT_CSI)
			csi_byte(t, c);
		else if (t->state == TEXT_ESC)
			esc_byte(t, c);
		else if (c >= 0x80)
			utf8_byte(t, c);
		else if (c < 0x20 || c == 0x7f)
			control(t, c);
		else
			char_put(t, c);
		if (c < 0x80)
			t->utf8_left = 0;
	}
	touch(t, t->row, t->row + 1u);
}
