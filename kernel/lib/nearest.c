// SPDX-License-Identifier: Apache-2.0
/* Owns: edit distance for suggestions. No state; any context; about 300 bytes of stack. */
#include "kernel/lib/nearest.h"

#include <ctype.h>
#include <string.h>

#define ROW (NEAREST_WORD_MAX + 1u)

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
static size_t edit_distance(const char *a, size_t alen, const char *b, size_t blen)
{
	uint8_t rows[3][ROW];
	uint8_t *before = rows[0], *prev = rows[1], *cur = rows[2];

	for (size_t j = 0; j <= blen; j++)
		prev[j] = (uint8_t)j;
	for (size_t i = 1; i <= alen; i++) {
		uint8_t *spare = before;

		cur[0] = (uint8_t)i;
		for (size_t j = 1; j <= blen; j++) {
			unsigned int d = prev[j - 1] + (same(a[i - 1], b[j - 1]) ? 0u : 1u);

			d = MIN(d, prev[j] + 1u);
			d = MIN(d, cur[j - 1] + 1u);
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
				d = MIN(d, before[j - 2] + 1u);
			cur[j] = (uint8_t)d;
		}
		before = prev;
		prev = cur;
		cur = spare;
	}
	return prev[blen];
}

void nearest_init(struct nearest *n, const char *word)
{
	*n = (struct nearest){ .word = word, .distance = SIZE_MAX };
}

void nearest_offer(struct nearest *n, const char *candidate)
{
	size_t wlen = strnlen(n->word, ROW), clen = strnlen(candidate, ROW);
	size_t d;

	if (wlen == 0 || wlen > NEAREST_WORD_MAX || clen > NEAREST_WORD_MAX)
		return;
	d = edit_distance(n->word, wlen, candidate, clen);
	if (d < n->distance) {
		n->distance = d;
		n->best = candidate;
	}
}

const char *nearest_result(const struct nearest *n)
{
	size_t allowed = strnlen(n->word, ROW) / 3;

	return n->best && n->distance <= MAX(allowed, 1u) ? n->best : NULL;
}

const char *nearest_of(const char *word, const char *const *list, size_t count)
{
	struct nearest n;

	nearest_init(&n, word);
	for (size_t i = 0; i < count; i++)
		nearest_offer(&n, list[i]);
	return nearest_result(&n);
}
