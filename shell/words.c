// SPDX-License-Identifier: Apache-2.0
/* Owns: quoting. No state; any context. */
#include "shell/words.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Copies one word down over its quotes. Returns where the next one may begin. */
static char *take_word(char *in, struct words *w, bool *escape_open)
{
	char *out = in;

	w->quote = 0;
	*escape_open = false;
	while (*in && (w->quote || !is_blank(*in))) {
		char c = *in++;

		if (w->quote ? c == w->quote : c == '"' || c == '\'') {
			w->quote = w->quote ? 0 : c;
			continue;
		}
		if (c == '\\' && (!w->quote || (w->quote == '"' && (*in == '"' || *in == '\\')))) {
			if (!*in) {
				*escape_open = true;
				break;
			}
			c = *in++;
		}
		*out++ = c;
	}
	w->last_open = *in == '\0';
	if (!w->last_open)
		in++; /* before the terminator falls on this very blank */
	*out = '\0';
	return in;
}

int words_split(char *line, struct words *w)
{
	char *in = line;
	bool escape_open;

	*w = (struct words){ 0 };
	for (;;) {
		while (is_blank(*in)) {
			in++;
			w->last_open = false;
		}
		if (!*in)
			return 0;
		if (w->count == CMD_WORDS_MAX)
			return -RAY_E2BIG;
		w->word[w->count++] = in;
		in = take_word(in, w, &escape_open);
		if (w->quote || escape_open)
			return -RAY_EINVAL;
	}
}
