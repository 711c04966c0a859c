/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Did you mean": the known word nearest to an unknown one. Pure; any context.
 *
 *	struct nearest n;
 *
 *	nearest_init(&n, typed);
 *	for each known word: nearest_offer(&n, word);
 *	if (nearest_result(&n)) ...
 */
#ifndef RAYOS_KERNEL_LIB_NEAREST_H
#define RAYOS_KERNEL_LIB_NEAREST_H

#include "kernel/lib/types.h"

#define NEAREST_WORD_MAX 47u /* longer words are never near anything */

struct nearest {
	const char *word, *best;
	size_t distance;
};

void nearest_init(struct nearest *n, const char *word);
/** @candidate must outlive the search. The first of equals wins. */
void nearest_offer(struct nearest *n, const char *candidate);
/** NULL when nothing is near: more than a third of the letters would have to change. */
const char *nearest_result(const struct nearest *n);

/** All at once, over an array. */
const char *nearest_of(const char *word, const char *const *list, size_t count);

#endif
