/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Same-folder header: what the line editor shows. Owns: cursor arithmetic over wrapped rows.
 *
 * A character typed at the end is simply echoed, so that logs show whole commands. All else
 * repaints from the prompt on. Rows are counted with the terminal's width; 80 is assumed,
 * and the terminal is asked when a line that wraps is first edited in its middle.
 */
#ifndef RAYOS_SHELL_EDITOR_VIEW_H
#define RAYOS_SHELL_EDITOR_VIEW_H

#include "shell/editor.h"

/** Print prompt and line on a fresh row. */
void view_start(struct editor *ed);
/** Repaint everything from the prompt's row on. */
void view_refresh(struct editor *ed);
/** The last @len bytes of the line were appended at its end, nothing else changed. */
void view_appended(struct editor *ed, size_t len);
/** One character was removed at the end of the line, nothing else changed. */
void view_shortened(struct editor *ed);
/** Only the cursor moved. */
void view_moved(struct editor *ed);
/** Leave the line: the cursor goes behind it, @mark is printed, and a new row begins. */
void view_finish(struct editor *ed, const char *mark);
void view_bell(struct editor *ed);
void view_clear_screen(struct editor *ed);

#endif
