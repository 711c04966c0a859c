/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line into words. Blanks separate; '...' takes everything as it is, "..." too except
 * that \ escapes " and \; outside quotes \ escapes any character. No variables, no
 * separators, no comments. Pure; any context.
 */
#ifndef RAYOS_SHELL_WORDS_H
#define RAYOS_SHELL_WORDS_H

#include "kernel/cmd.h"
#include "kernel/lib/types.h"

struct words {
	int count;
	char *word[CMD_WORDS_MAX];
	bool last_open; /* the line ends in the last word: completion goes on with it */
	char quote;     /* the quote left open, or 0 */
};

/**
 * Split @line in place: quotes and escapes are resolved in its own memory.
 * Returns: 0, -RAY_EINVAL (a quote or escape is left open; words up to there are valid),
 *          -RAY_E2BIG (more than CMD_WORDS_MAX words)
 * Trust:   any terminated string
 */
int __must_check words_split(char *line, struct words *w);

#endif
