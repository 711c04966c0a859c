/* SPDX-License-Identifier: Apache-2.0 */
/* The lines typed before, newest first, in a fixed amount of memory. Pure; one thread. */
#ifndef RAYOS_SHELL_HISTORY_H
#define RAYOS_SHELL_HISTORY_H

#include "kernel/lib/types.h"

#define HISTORY_BYTES 16384u

struct history {
	char text[HISTORY_BYTES]; /* terminated lines, oldest first */
	size_t used;
	size_t count;
};

void history_init(struct history *h);

/**
 * Remember a line; the oldest ones make room. An empty line, one that begins with a space,
 * one equal to the newest, and one larger than the whole memory are not kept.
 */
void history_add(struct history *h, const char *line);

/** The line typed @back lines ago, 1 = the newest; NULL when there is none. Valid until the
 * next history_add(). */
const char *history_get(const struct history *h, size_t back);

/** Going back from @back (1 = the newest), the first line that contains @part.
 * Returns: how far back it is, or 0. */
size_t history_search(const struct history *h, const char *part, size_t back);

#endif
