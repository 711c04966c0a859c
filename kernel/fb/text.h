/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A screen of characters in memory: what a terminal of a few VT100 sequences would show.
 * Owns: the cells, the cursor, the state of a half-received sequence. Must not know: pixels.
 * Pure; the caller's lock protects it.
 */
#ifndef RAYOS_KERNEL_FB_TEXT_H
#define RAYOS_KERNEL_FB_TEXT_H

#include "kernel/lib/types.h"

#define TEXT_PARAMS 4u

enum text_state { TEXT_PLAIN, TEXT_ESC, TEXT_CSI };

struct text {
	uint16_t cols, rows;
	uint16_t top; /* row of the ring shown first */
	uint16_t col, row; /* cursor; col == cols: the line is full */
	uint16_t dirty_first, dirty_end; /* rows changed since text_clean(); none: first >= end */
	enum text_state state;
	uint8_t utf8_left;  /* bytes missing of a character */
	uint32_t utf8_code;
	uint8_t param_count;
	uint16_t param[TEXT_PARAMS];
	uint8_t *cells; /* cols * rows Latin-1 characters, a ring of rows */
};

/** @cells  room for cols * rows; both > 0 */
void text_init(struct text *t, uint8_t *cells, uint16_t cols, uint16_t rows);

/** Trust: any bytes, in any pieces. */
void text_write(struct text *t, const char *s, size_t len);

/** Forget what changed. */
static inline void text_clean(struct text *t)
{
	t->dirty_first = t->rows;
	t->dirty_end = 0;
}

/** The cells of a row as shown, 0 at the top. */
static inline uint8_t *text_row(const struct text *t, unsigned int row)
{
	unsigned int r = t->top + row;

	return t->cells + (size_t)(r >= t->rows ? r - t->rows : r) * t->cols;
}

#endif
