// SPDX-License-Identifier: Apache-2.0
/* Owns: what the line editor's terminal shows. State is in struct editor; one thread. */
#include "shell/editor_view.h"

#include <string.h>

#include "kernel/lib/fmt.h"

#define PREFIX_MAX (EDITOR_SEARCH_MAX + 32u)

/* What stands before the line: the prompt, or the search and its pattern. */
static size_t prefix_text(const struct editor *ed, char *buf, size_t size)
{
	if (ed->searching)
		return ray_scnprintf(buf, size, "(%s'%s'): ",
				     ed->search_failed ? "no match " : "search ", ed->pattern);
	return ray_scnprintf(buf, size, "%s", ed->prompt);
}

static size_t prefix_columns(const struct editor *ed)
{
	char buf[PREFIX_MAX];
	size_t n = prefix_text(ed, buf, sizeof(buf));

	return utf8_count(buf, n);
}

/* Behind @n printed characters the terminal still stands in the row of the last one, even
 * when that row is full: it wraps with the next character. */
static void at_end(struct editor *ed, size_t n)
{
	ed->row = n > 0 ? (n - 1) / ed->width : 0;
	ed->column = n - ed->row * ed->width;
}

static void move_to(struct editor *ed, size_t row, size_t column)
{
	if (row < ed->row)
		sink_printf(ed->out, "\x1b[%zuA", ed->row - row);
	else if (row > ed->row)
		sink_printf(ed->out, "\x1b[%zuB", row - ed->row);
	sink_puts(ed->out, "\r");
	if (column > 0)
		sink_printf(ed->out, "\x1b[%zuC", column);
	ed->row = row;
	ed->column = column;
}

static void place_cursor(struct editor *ed)
{
	size_t n = prefix_columns(ed) + utf8_count(ed->line, ed->cursor);

	if (ed->cursor < ed->len)
		move_to(ed, n / ed->width, n % ed->width);
}

static void print_all(struct editor *ed)
{
	char buf[PREFIX_MAX];
	size_t n = prefix_text(ed, buf, sizeof(buf));

	sink_puts(ed->out, buf);
	if (ed->len > 0)
		ed->out->put(ed->out, ed->line, ed->len);
	at_end(ed, utf8_count(buf, n) + utf8_count(ed->line, ed->len));
	place_cursor(ed);
}

void view_start(struct editor *ed)
{
	ed->row = 0;
	ed->column = 0;
	print_all(ed);
}

/* A line that wraps is about to be repainted: only now the true width matters. */
static void ask_width(struct editor *ed)
{
	if (ed->width_asked || prefix_columns(ed) + utf8_count(ed->line, ed->len) < EDITOR_WIDTH)
		return;
	ed->width_asked = true;
	sink_puts(ed->out, "\x1b[s\x1b[999C\x1b[6n\x1b[u");
}

void view_refresh(struct editor *ed)
{
	ask_width(ed);
	move_to(ed, 0, 0);
	sink_puts(ed->out, "\x1b[J");
	print_all(ed);
}

void view_appended(struct editor *ed, size_t len)
{
	const char *added = ed->line + ed->len - len;

	ed->out->put(ed->out, added, len);
	at_end(ed, ed->row * ed->width + ed->column + utf8_count(added, len));
}

void view_shortened(struct editor *ed)
{
	/* Backspace cannot cross a row, and a full row has the cursor on its last column. */
	if (ed->column == 0 || ed->column == ed->width || ed->row > 0) {
		view_refresh(ed);
		return;
	}
	sink_puts(ed->out, "\b \b");
	ed->column--;
}

void view_moved(struct editor *ed)
{
	size_t prefix = prefix_columns(ed);

	if (ed->cursor == ed->len && (prefix + utf8_count(ed->line, ed->len)) % ed->width == 0) {
		view_refresh(ed); /* the place behind a full row exists only after printing it */
		return;
	}
	ask_width(ed);
	if (ed->cursor < ed->len) {
		place_cursor(ed);
	} else {
		size_t n = prefix + utf8_count(ed->line, ed->len);

		move_to(ed, n / ed->width, n % ed->width);
	}
}

void view_finish(struct editor *ed, const char *mark)
{
	if (ed->cursor < ed->len || ed->searching) {
		ed->searching = false;
		ed->cursor = ed->len;
		view_refresh(ed);
	}
	sink_puts(ed->out, mark);
	sink_puts(ed->out, "\n");
}

void view_bell(struct editor *ed)
{
	sink_puts(ed->out, "\a");
}

void view_clear_screen(struct editor *ed)
{
	sink_puts(ed->out, "\x1b[H\x1b[2J");
	view_start(ed);
}
