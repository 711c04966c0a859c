/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shell on the operator's console: one thread that reads lines and runs them.
 * Owns: that thread, its editor and history, the status of the last command.
 */
#ifndef RAYOS_SHELL_SESSION_H
#define RAYOS_SHELL_SESSION_H

#include "kernel/lib/types.h"
#include "shell/history.h"

#define SESSION_PROMPT "rayos> "

/** Start the shell. Context: once, from init, when threads and the console work. */
int __must_check shell_start(void);

/** What the last command returned, 0 before any. Context: the shell's thread. */
int session_last_status(void);

/** The lines typed so far. Context: the shell's thread. */
const struct history *session_history(void);

#endif
