/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tab completion over the command table: names, sub-commands, options, and arguments through
 * the commands' own callbacks. Must not know: any command. One thread; about 8 KiB of stack.
 */
#ifndef RAYOS_SHELL_COMPLETE_H
#define RAYOS_SHELL_COMPLETE_H

#include "shell/editor.h"

/** An editor_complete_fn. */
bool complete_line(struct editor *ed, bool list);

#endif
