/* UNIT: shell/editor.c shell/editor_view.c shell/keys.c shell/history.c kernel/lib/utf8.c
 *       kernel/lib/fmt.c kernel/lib/sink.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * The line editor: what each key does to the line, and, on a small model of a terminal, that
 * the screen shows it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shell/editor.h"

#define ROWS 8
#define COLS 100

/* VT100 as far as the editor uses it: printing with deferred wrap, CR LF BS, A B C J H K. */
struct term {
	struct sink sink;
	unsigned int width;
	size_t row, col;
	char cell[ROWS][COLS][4];
	char esc[32];
	size_t esc_len;
	char utf8[5];
	size_t utf8_len;
	size_t saved_row, saved_col;
	bool asked;
	size_t bells, bytes;
};

static struct term term;
static struct editor ed;
static struct history history;

static void term_newline(struct term *t)
{
	assert_true(t->row + 1 < ROWS);
	t->row++;
}

static void term_clear_from(struct term *t, size_t row, size_t col)
{
	for (size_t r = row; r < ROWS; r++)
		for (size_t c = r == row ? col : 0; c < COLS; c++)
			t->cell[r][c][0] = '\0';
}

static void term_escape(struct term *t)
{
	char final = t->esc[t->esc_len - 1];
	size_t n = (size_t)atoi(t->esc + 1);

	t->esc[t->esc_len] = '\0';
	switch (final) {
	case 'A':
		assert_true(t->row >= n);
		t->row -= n;
		break;
	case 'B':
		t->row += n;
		break;
	case 'C':
		t->col = MIN((t->col == t->width ? t->width - 1 : t->col) + n, t->width - 1u);
		break;
	case 'J':
		if (n == 2)
			term_clear_from(t, 0, 0);
		else
			term_clear_from(t, t->row, t->col);
		break;
	case 'H':
		t->row = t->col = 0;
		break;
	case 's':
		t->saved_row = t->row;
		t->saved_col = t->col;
		break;
	case 'u':
		t->row = t->saved_row;
		t->col = t->saved_col;
		break;
	case 'n':
		t->asked = true;
		break;
	default:
		fail_msg("unknown escape %s", t->esc);
	}
}

static void term_glyph(struct term *t, const char *s)
{
	if (t->col == t->width) {
		term_newline(t);
		t->col = 0;
	}
	snprintf(t->cell[t->row][t->col], 4, "%.3s", s);
	t->col++;
}

static void term_byte(struct term *t, uint8_t c)
{
	if (t->esc_len > 0) {
		if (t->esc_len == 1 && c == 0x1b)
			fail_msg("escape in escape");
		t->esc[t->esc_len++] = (char)c;
		assert_true(t->esc_len < sizeof(t->esc));
		if (t->esc_len > 2 && c >= 0x40) {
			memmove(t->esc, t->esc + 1, t->esc_len - 1);
			t->esc_len--;
			term_escape(t);
			t->esc_len = 0;
		}
		return;
	}
	if (c == 0x1b) {
		t->esc[t->esc_len++] = (char)c;
	} else if (c == '\r') {
		t->col = 0;
	} else if (c == '\n') {
		term_newline(t);
		t->col = 0;
	} else if (c == '\b') {
		if (t->col > 0)
			t->col--;
	} else if (c == '\a') {
		t->bells++;
	} else {
		assert_true(c >= 0x20 && c != 0x7f);
		if (c < 0x80 || c >= 0xc0)
			t->utf8_len = 0;
		t->utf8[t->utf8_len++] = (char)c;
		t->utf8[t->utf8_len] = '\0';
		if (utf8_char_len(t->utf8, t->utf8_len) > 0)
			term_glyph(t, t->utf8);
	}
}

static void term_put(struct sink *self, const char *data, size_t len)
{
	struct term *t = container_of(self, struct term, sink);

	assert_true(len > 0);
	t->bytes += len;
	for (size_t i = 0; i < len; i++)
		term_byte(t, (uint8_t)data[i]);
}

static const char *term_row(size_t row)
{
	static char out[COLS * 4 + 1];
	size_t n = 0;

	out[0] = '\0';
	for (size_t c = 0; c < COLS; c++)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s",
		                      term.cell[row][c][0] ? term.cell[row][c] : "");
	while (n > 0 && out[n - 1] == ' ')
		out[--n] = '\0';
	return out;
}

static void reset(void)
{
	memset(&term, 0, sizeof(term));
	term.sink.put = term_put;
	term.width = 80;
	history_init(&history);
	editor_init(&ed, &term.sink, &history, NULL);
	editor_start(&ed, "rayos> ");
}

static int setup(void **state)
{
	(void)state;
	reset();
	return 0;
}

static enum editor_result type_n(const char *s, size_t len)
{
	enum editor_result r = EDITOR_MORE;

	for (size_t i = 0; i < len; i++) {
		r = editor_feed(&ed, (uint8_t)s[i]);
		assert_int_equal(ed.line[ed.len], '\0');
		assert_int_equal(strlen(ed.line), ed.len);
		assert_true(ed.cursor <= ed.len);
	}
	return r;
}

static enum editor_result type(const char *s)
{
	return type_n(s, strlen(s));
}

/* The screen must show prompt and line, and the cursor must stand where it belongs. */
static void check_screen(void)
{
	char want[5000], seen[ROWS * COLS * 4];
	size_t n = 0, at = utf8_count(ed.prompt, strlen(ed.prompt)) +
			   utf8_count(ed.line, ed.cursor);

	snprintf(want, sizeof(want), "%s%s", ed.prompt, ed.line);
	for (size_t r = 0; r < ROWS; r++)
		for (size_t c = 0; c < term.width; c++)
			n += (size_t)snprintf(seen + n, sizeof(seen) - n, "%s", term.cell[r][c]);
	if (strncmp(want, seen, strlen(want)) != 0 || seen[strlen(want)] > ' ')
		fail_msg("want '%s'\nseen '%s'", want, seen);
	if (ed.cursor == ed.len && at % term.width == 0 && term.col == term.width)
		return; /* full row, wrap pending */
	if (term.row * term.width + term.col != at)
		fail_msg("cursor at %zu,%zu, not %zu", term.row, term.col, at);
}

#define KEYS(keys, text, cur)                               \
	do {                                                \
		type(keys);                                 \
		assert_string_equal(ed.line, text);         \
		assert_int_equal(ed.cursor, cur);           \
		check_screen();                             \
	} while (0)

static void test_typing(void **state)
{
	(void)state;
	KEYS("vm list", "vm list", 7);
	assert_int_equal(term.bytes, strlen("rayos> vm list")); /* plain echo */
	assert_int_equal(type("\r"), EDITOR_LINE);
	assert_string_equal(ed.line, "vm list");
	assert_int_equal(editor_feed(&ed, '\n'), EDITOR_MORE); /* CR LF is one line end */
	editor_start(&ed, "rayos> ");
	assert_int_equal(type("\n"), EDITOR_LINE);
	assert_int_equal(type("\n"), EDITOR_LINE);
}

static void test_moving(void **state)
{
	(void)state;
	KEYS("abc def", "abc def", 7);
	KEYS("\x1b[D\x1b[D", "abc def", 5);
	KEYS("\x1b[C", "abc def", 6);
	KEYS("\x01", "abc def", 0);
	KEYS("\x1b[D", "abc def", 0);
	KEYS("\x05", "abc def", 7);
	KEYS("\x1b[C", "abc def", 7);
	KEYS("\x1b[H", "abc def", 0);
	KEYS("\x1b[F", "abc def", 7);
	KEYS("\x1bOH", "abc def", 0);
	KEYS("\x1bOF", "abc def", 7);
	KEYS("\x1b[1~", "abc def", 0);
	KEYS("\x1b[4~", "abc def", 7);
	KEYS("\x1b" "b", "abc def", 4);
	KEYS("\x1b[1;5D", "abc def", 0);
	KEYS("\x1b[1;5C", "abc def", 3);
	KEYS("\x1b" "f", "abc def", 7);
	KEYS("\x02\x06\x02", "abc def", 6);
	KEYS("\x1b[99~\x1b[Z\x1bx\x1bOz", "abc def", 6);
}

static void test_erasing(void **state)
{
	(void)state;
	KEYS("one two three", "one two three", 13);
	KEYS("\x7f\x08", "one two thr", 11);
	KEYS("\x17", "one two ", 8);
	KEYS("\x01\x1b[3~\x04", "e two ", 0);
	KEYS("\x7f", "e two ", 0);
	KEYS("X\x7fYZ", "YZe two ", 2);
	KEYS("\x0b", "YZ", 2);
	KEYS("\x04", "YZ", 2);
	KEYS("\x15", "", 0);
	KEYS("\x15\x0b\x17\x7f", "", 0);
	KEYS("a b  \x17", "a ", 2);
}

static void test_utf8(void **state)
{
	(void)state;
	KEYS("a\xc3\xa9\xe2\x82\xac", "a\xc3\xa9\xe2\x82\xac", 6);
	KEYS("\x1b[D", "a\xc3\xa9\xe2\x82\xac", 3);
	KEYS("\x7f", "a\xe2\x82\xac", 1);
	KEYS("\x04", "a", 1);
	KEYS("\xff\x80\xc0\xc3", "a", 1); /* refused */
	KEYS("\xe2\x82z", "az", 2);
	KEYS("\xc2\x9b", "az", 2); /* C1 control */
	KEYS("\x1b[1\xc3\xa9", "az\xc3\xa9", 4);
	KEYS("\xf0\x9f\x98\x80\x7f", "az\xc3\xa9", 4);
}

static void test_wrapping(void **state)
{
	char line[400];

	(void)state;
	memset(line, 'x', sizeof(line));
	for (size_t i = 0; i < sizeof(line); i++)
		line[i] = (char)('a' + i % 26);
	for (size_t n = 70; n < 300; n++) {
		reset();
		line[n] = '\0';
		type(line);
		check_screen();
		type("\x1b[D\x1b[D");
		check_screen();
		type("\x01");
		check_screen();
		type("Q");
		check_screen();
		type("\x1b[C\x7f");
		check_screen();
		type("\x05");
		check_screen();
		type("\x7f\x7f");
		check_screen();
		type("\x0c");
		check_screen();
		line[n] = (char)('a' + n % 26);
	}
}

static void test_width_report(void **state)
{
	(void)state;
	type("\x1b[5;90R"); /* nobody asked */
	assert_int_equal(ed.width, 80);
	term.width = 90;
	for (int i = 0; i < 30; i++)
		type("abcde ");
	assert_false(term.asked);
	type("\x1b[D");
	assert_true(term.asked);
	type("\x1b[3;90R");
	assert_int_equal(ed.width, 90);
	reset();
	term.width = 90;
	ed.width_asked = true;
	type("\x1b[3;1R\x1b[3;5000R");
	assert_int_equal(ed.width, 80);
	type("\x1b[3;90R");
	for (int i = 0; i < 30; i++)
		type("abcde ");
	type("\x1b[D\x1b[D");
	check_screen();
	type("\x01Z");
	check_screen();
}

static void test_history(void **state)
{
	(void)state;
	history_add(&history, "first");
	history_add(&history, "second");
	history_add(&history, "second");
	history_add(&history, "");
	history_add(&history, " secret");
	assert_int_equal(history.count, 2);
	KEYS("typ", "typ", 3);
	KEYS("\x1b[A", "second", 6);
	KEYS("\x10", "first", 5);
	KEYS("\x1b[A", "first", 5);
	KEYS("\x1b[B", "second", 6);
	KEYS("\x0e", "typ", 3);
	KEYS("\x0e", "typ", 3);
}

static void test_history_limits(void **state)
{
	char line[HISTORY_BYTES + 10];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		snprintf(line, sizeof(line), "line %d", i);
		history_add(&history, line);
	}
	assert_string_equal(history_get(&history, 1), "line 4999");
	assert_non_null(history_get(&history, history.count));
	assert_null(history_get(&history, history.count + 1));
	assert_null(history_get(&history, 0));
	snprintf(line, sizeof(line), "line %zu", 5000 - history.count);
	assert_string_equal(history_get(&history, history.count), line);
	memset(line, 'y', sizeof(line));
	line[HISTORY_BYTES - 1] = '\0';
	history_add(&history, line);
	assert_int_equal(history.count, 1);
	line[HISTORY_BYTES - 1] = 'y';
	line[HISTORY_BYTES] = '\0';
	history_add(&history, line);
	assert_int_equal(history.count, 1);
}

static void test_search(void **state)
{
	(void)state;
	history_add(&history, "vm start demo");
	history_add(&history, "cpu");
	history_add(&history, "vm stop demo");
	type("abc\x12");
	assert_string_equal(term_row(0), "(search ''): abc");
	type("vm");
	assert_string_equal(ed.line, "vm stop demo");
	type("\x12");
	assert_string_equal(ed.line, "vm start demo");
	assert_string_equal(term_row(0), "(search 'vm'): vm start demo");
	type("\x12");
	assert_string_equal(term_row(0), "(no match 'vm'): vm start demo");
	type("\x7f\x7f" "cp");
	assert_string_equal(ed.line, "cpu");
	type("\x07");
	assert_string_equal(ed.line, "abc");
	check_screen();
	type("\x12st");
	assert_string_equal(ed.line, "vm stop demo");
	type("\x05");
	check_screen();
	type("\x12sta");
	assert_int_equal(type("\r"), EDITOR_LINE);
	assert_string_equal(ed.line, "vm start demo");
	assert_string_equal(term_row(0), "rayos> vm start demo");
	editor_start(&ed, "rayos> ");
	type("\x12\xc3\xa9\x7f");
	assert_string_equal(ed.pattern, "");
	type("0123456789012345678901234567890123456789012345678901234567890123456789");
	assert_int_equal(ed.pattern_len, EDITOR_SEARCH_MAX - 1);
}

static void test_cancel(void **state)
{
	(void)state;
	type("abc\x01");
	assert_int_equal(type("\x03"), EDITOR_CANCELED);
	assert_string_equal(term_row(0), "rayos> abc^C");
	editor_start(&ed, "rayos> ");
	assert_string_equal(ed.line, "");
	type("\x12" "a");
	assert_int_equal(type("\x03"), EDITOR_CANCELED);
}

static void test_too_long(void **state)
{
	(void)state;
	term.width = 80;
	memset(&term.sink, 0, sizeof(term.sink));
	struct buf_sink b;
	static char buf[10000];
	buf_sink_init(&b, buf, sizeof(buf));
	ed.out = &b.sink;
	for (size_t i = 0; i < 1 << 20; i++)
		assert_int_equal(editor_feed(&ed, i % 100 == 50 ? ' ' : 'x'), EDITOR_MORE);
	assert_true(b.len < 2 * EDITOR_LINE_MAX);
	assert_int_equal(editor_feed(&ed, '\r'), EDITOR_TOO_LONG);
	editor_start(&ed, "rayos> ");
	for (size_t i = 0; i < EDITOR_LINE_MAX - 1; i++)
		editor_feed(&ed, 'x');
	assert_int_equal(editor_feed(&ed, '\r'), EDITOR_LINE);
	assert_int_equal(ed.len, EDITOR_LINE_MAX - 1);
	editor_start(&ed, "rayos> ");
	for (size_t i = 0; i < EDITOR_LINE_MAX + 5; i++)
		editor_feed(&ed, 'x');
	assert_int_equal(editor_feed(&ed, 0x03), EDITOR_CANCELED);
	editor_start(&ed, "rayos> ");
	assert_int_equal(type("ok\r"), EDITOR_LINE);
}

static unsigned int tabs, lists;

static bool fake_complete(struct editor *e, bool list)
{
	tabs++;
	lists += list;
	return tabs == 1 ? editor_insert(e, "ly", 2) : list;
}

static void test_tab(void **state)
{
	(void)state;
	type("\t");
	assert_int_equal(term.bells, 1);
	reset();
	ed.complete = fake_complete;
	tabs = lists = 0;
	KEYS("on\t", "only", 4);
	type("\t");
	assert_int_equal(term.bells, 1);
	assert_int_equal(lists, 0);
	type("\t");
	assert_int_equal(lists, 1);
	assert_int_equal(term.bells, 1);
	type("x\t");
	assert_int_equal(lists, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_typing, setup),
		cmocka_unit_test_setup(test_moving, setup),
		cmocka_unit_test_setup(test_erasing, setup),
		cmocka_unit_test_setup(test_utf8, setup),
		cmocka_unit_test_setup(test_wrapping, setup),
		cmocka_unit_test_setup(test_width_report, setup),
		cmocka_unit_test_setup(test_history, setup),
		cmocka_unit_test_setup(test_history_limits, setup),
		cmocka_unit_test_setup(test_search, setup),
		cmocka_unit_test_setup(test_cancel, setup),
		cmocka_unit_test_setup(test_too_long, setup),
		cmocka_unit_test_setup(test_tab, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
