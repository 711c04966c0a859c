/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Line editor: bytes in, a line out, and what the terminal must show goes to a sink.
 * Owns: the line, cursor, search state, what is on the screen. Must not know: the console,
 * commands (completion is a callback). Pure state machine; one thread.
 *
 * Keys: arrows, Home, End, Ctrl-A/E/B/F, Alt-B/F and Ctrl-arrows by words, Backspace, Delete
 * or Ctrl-D, Ctrl-K/U/W, Up/Down or Ctrl-P/N for history, Ctrl-R search, Tab, Ctrl-L, Ctrl-C.
 */
#ifndef RAYOS_SHELL_EDITOR_H
#define RAYOS_SHELL_EDITOR_H

#include "kernel/lib/sink.h"
#include "kernel/lib/types.h"
#include "shell/history.h"
#include "shell/keys.h"

#define EDITOR_LINE_MAX   4096u /* bytes, terminator included */
#define EDITOR_SEARCH_MAX 64u
#define EDITOR_WIDTH      80u   /* columns, until the terminal says otherwise */

enum editor_result {
	EDITOR_MORE,     /* go on */
	EDITOR_LINE,     /* editor.line is complete */
	EDITOR_CANCELED, /* Ctrl-C */
	EDITOR_TOO_LONG, /* the line did not fit and was dropped as a whole */
};

struct editor;

/**
 * Tab was pressed. Inserts with editor_insert() what is certain.
 * @list  pressed again without progress: print the choices to ed->out, each line ended
 * Returns: true when something was inserted or printed
 */
typedef bool (*editor_complete_fn)(struct editor *ed, bool list);

struct editor {
	struct sink *out;
	struct history *history;
	editor_complete_fn complete;
	char prompt[32];

	char line[EDITOR_LINE_MAX];
	size_t len, cursor;
	struct keydec keys;
	bool too_long; /* dropping everything up to the line end */
	bool tab_again;

	size_t hist_back;            /* 0: the line being typed, else so many lines back */
	char typed[EDITOR_LINE_MAX]; /* the line being typed, while another is shown */

	bool searching;
	bool search_failed;
	size_t search_back;
	char pattern[EDITOR_SEARCH_MAX];
	size_t pattern_len;

	unsigned int width; /* terminal columns */
	bool width_asked;
	size_t row;         /* screen row of the cursor, counted from the prompt's */
	size_t column;
};

/** @complete may be NULL. */
void editor_init(struct editor *ed, struct sink *out, struct history *history,
		 editor_complete_fn complete);

/** Begin a new line: print the prompt (copied, at most 31 bytes). */
void editor_start(struct editor *ed, const char *prompt);

/**
 * Take one byte of input.
 * Trust: any byte in any order. editor.line is at all times valid UTF-8 without control
 *        characters, and terminated.
 */
enum editor_result editor_feed(struct editor *ed, uint8_t byte);

/** Insert text at the cursor, as if typed; false (and a bell) when it does not fit. */
bool editor_insert(struct editor *ed, const char *text, size_t len);

/** Print prompt and line again, below whatever has been printed since. */
void editor_redraw(struct editor *ed);

/**
 * Write what editor_redraw() would print into @buf, and leave the editor as it is.
 * Returns: bytes written; 0 when it does not fit
 */
size_t editor_redraw_text(struct editor *ed, char *buf, size_t size);

#endif
