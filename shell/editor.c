// SPDX-License-Identifier: Apache-2.0
/* Owns: what each key does to the line. State is the caller's struct editor; one thread. */
#include "shell/editor.h"

#include <string.h>

#include "shell/editor_view.h"

void editor_init(struct editor *ed, struct sink *out, struct history *history,
		 editor_complete_fn complete)
{
	memset(ed, 0, sizeof(*ed));
	ed->out = out;
	ed->history = history;
	ed->complete = complete;
	ed->width = EDITOR_WIDTH;
}

static void set_line(struct editor *ed, const char *text)
{
	ed->len = strlcpy(ed->line, text, sizeof(ed->line));
	ed->cursor = ed->len;
}

void editor_start(struct editor *ed, const char *prompt)
{
	strlcpy(ed->prompt, prompt, sizeof(ed->prompt));
	set_line(ed, "");
	ed->too_long = false;
	ed->tab_again = false;
	ed->hist_back = 0;
	ed->searching = false;
	view_start(ed);
}

void editor_redraw(struct editor *ed)
{
	view_start(ed);
}

size_t editor_redraw_text(struct editor *ed, char *buf, size_t size)
{
	struct sink *out = ed->out;
	size_t row = ed->row, column = ed->column;
	struct buf_sink b;

	if (ed->len >= size)
		return 0;
	buf_sink_init(&b, buf, size);
	ed->out = &b.sink;
	view_start(ed);
	ed->out = out;
	ed->row = row;
	ed->column = column;
	return b.lost ? 0 : b.len;
}

bool editor_insert(struct editor *ed, const char *text, size_t len)
{
	if (len >= sizeof(ed->line) - ed->len) {
		view_bell(ed);
		return false;
	}
	memmove(ed->line + ed->cursor + len, ed->line + ed->cursor, ed->len - ed->cursor + 1);
	memcpy(ed->line + ed->cursor, text, len);
	ed->len += len;
	ed->cursor += len;
	if (ed->cursor == ed->len)
		view_appended(ed, len);
	else
		view_refresh(ed);
	return true;
}

/* Remove the bytes from @from to the cursor or, when it lies behind, the other way round. */
static void remove_to(struct editor *ed, size_t to)
{
	size_t from = MIN(ed->cursor, to), end = MAX(ed->cursor, to);

	memmove(ed->line + from, ed->line + end, ed->len - end + 1);
	ed->len -= end - from;
	ed->cursor = from;
}

static bool is_tail(char c)
{
	return ((uint8_t)c & 0xc0) == 0x80;
}

static size_t char_left(const struct editor *ed)
{
	size_t at = ed->cursor;

	while (at > 0 && is_tail(ed->line[--at]))
		;
	return at;
}

static size_t char_right(const struct editor *ed)
{
	size_t at = ed->cursor;

	if (at < ed->len)
		at++;
	while (at < ed->len && is_tail(ed->line[at]))
		at++;
	return at;
}

static size_t word_left(const struct editor *ed)
{
	size_t at = ed->cursor;

	while (at > 0 && ed->line[at - 1] == ' ')
		at--;
	while (at > 0 && ed->line[at - 1] != ' ')
		at--;
	return at;
}

static size_t word_right(const struct editor *ed)
{
	size_t at = ed->cursor;

	while (at < ed->len && ed->line[at] == ' ')
		at++;
	while (at < ed->len && ed->line[at] != ' ')
		at++;
	return at;
}

static void move_cursor(struct editor *ed, size_t to)
{
	if (to == ed->cursor)
		return;
	ed->cursor = to;
	view_moved(ed);
}

static void erase(struct editor *ed, size_t to)
{
	if (to == ed->cursor)
		return;
	remove_to(ed, to);
	view_refresh(ed);
}

static void backspace(struct editor *ed)
{
	size_t to = char_left(ed);
	bool at_end = ed->cursor == ed->len;

	if (to == ed->cursor)
		return;
	remove_to(ed, to);
	if (at_end)
		view_shortened(ed);
	else
		view_refresh(ed);
}

static void show_history(struct editor *ed, size_t back)
{
	const char *line = back ? history_get(ed->history, back) : ed->typed;

	if (!line)
		return;
	if (ed->hist_back == 0)
		strlcpy(ed->typed, ed->line, sizeof(ed->typed));
	ed->hist_back = back;
	set_line(ed, line);
	view_refresh(ed);
}

static void complete(struct editor *ed)
{
	bool list = ed->tab_again;

	if (!ed->complete || !ed->complete(ed, list)) {
		view_bell(ed);
		ed->tab_again = true;
	}
}

static void search_begin(struct editor *ed)
{
	strlcpy(ed->typed, ed->line, sizeof(ed->typed));
	ed->hist_back = 0;
	ed->searching = true;
	ed->search_failed = false;
	ed->search_back = 0;
	ed->pattern_len = 0;
	ed->pattern[0] = '\0';
	view_refresh(ed);
}

static void search_from(struct editor *ed, size_t back)
{
	size_t found = ed->pattern_len ? history_search(ed->history, ed->pattern, MAX(back, 1u)) : 0;

	ed->search_failed = !found && ed->pattern_len > 0;
	if (found) {
		ed->search_back = found;
		set_line(ed, history_get(ed->history, found));
	}
	view_refresh(ed);
}

/* Returns false when the key ends the search and is to be obeyed as usual. */
static bool search_key(struct editor *ed, enum key key)
{
	switch (key) {
	case KEY_TEXT:
		if (ed->pattern_len + ed->keys.text_len < sizeof(ed->pattern)) {
			memcpy(ed->pattern + ed->pattern_len, ed->keys.text, ed->keys.text_len);
			ed->pattern_len += ed->keys.text_len;
			ed->pattern[ed->pattern_len] = '\0';
		}
		search_from(ed, ed->search_back);
		return true;
	case KEY_BACKSPACE:
		while (ed->pattern_len > 0 && is_tail(ed->pattern[--ed->pattern_len]))
			;
		ed->pattern[ed->pattern_len] = '\0';
		search_from(ed, 1);
		return true;
	case KEY_SEARCH:
		search_from(ed, ed->search_back + 1);
		return true;
	case KEY_ABORT:
		ed->searching = false;
		set_line(ed, ed->typed);
		view_refresh(ed);
		return true;
	case KEY_NONE:
	case KEY_INVALID:
		return true;
	default:
		break;
	}
	if (key != KEY_ENTER && key != KEY_CANCEL) {
		ed->searching = false;
		view_refresh(ed);
	}
	return false;
}

static void cursor_report(struct editor *ed)
{
	unsigned int columns = ed->keys.param[1];

	/* Believed only when asked for and plausible: it is input like any other. */
	if (!ed->width_asked || columns < 20 || columns > 1000 || columns == ed->width)
		return;
	ed->width = columns;
	view_refresh(ed);
}

static void edit_key(struct editor *ed, enum key key)
{
	switch (key) {
	case KEY_BACKSPACE:
		backspace(ed);
		break;
	case KEY_DELETE:
		erase(ed, char_right(ed));
		break;
	case KEY_KILL_END:
		erase(ed, ed->len);
		break;
	case KEY_KILL_START:
		erase(ed, 0);
		break;
	case KEY_KILL_WORD:
		erase(ed, word_left(ed));
		break;
	case KEY_LEFT:
		move_cursor(ed, char_left(ed));
		break;
	case KEY_RIGHT:
		move_cursor(ed, char_right(ed));
		break;
	case KEY_WORD_LEFT:
		move_cursor(ed, word_left(ed));
		break;
	case KEY_WORD_RIGHT:
		move_cursor(ed, word_right(ed));
		break;
	case KEY_HOME:
		move_cursor(ed, 0);
		break;
	case KEY_END:
		move_cursor(ed, ed->len);
		break;
	case KEY_UP:
		show_history(ed, ed->hist_back + 1);
		break;
	case KEY_DOWN:
		if (ed->hist_back > 0)
			show_history(ed, ed->hist_back - 1);
		break;
	case KEY_SEARCH:
		search_begin(ed);
		break;
	case KEY_CLEAR:
		view_clear_screen(ed);
		break;
	case KEY_CURSOR_REPORT:
		cursor_report(ed);
		break;
	default:
		break;
	}
}

static enum editor_result text_key(struct editor *ed)
{
	/* What does not fit makes the whole line void: half a command may mean another. */
	if (!editor_insert(ed, ed->keys.text, ed->keys.text_len))
		ed->too_long = true;
	return EDITOR_MORE;
}

enum editor_result editor_feed(struct editor *ed, uint8_t byte)
{
	enum key key = keys_feed(&ed->keys, byte);
	bool too_long = ed->too_long;

	if (key == KEY_ENTER || key == KEY_CANCEL) {
		view_finish(ed, key == KEY_CANCEL ? "^C" : "");
		ed->too_long = false;
		if (key == KEY_CANCEL)
			return EDITOR_CANCELED;
		return too_long ? EDITOR_TOO_LONG : EDITOR_LINE;
	}
	if (too_long || key == KEY_NONE || key == KEY_INVALID)
		return EDITOR_MORE;
	if (ed->searching && search_key(ed, key))
		return EDITOR_MORE;
	if (key == KEY_TAB) {
		complete(ed);
		return EDITOR_MORE;
	}
	ed->tab_again = false;
	if (key == KEY_TEXT)
		return text_key(ed);
	edit_key(ed, key);
	return EDITOR_MORE;
}
