// SPDX-License-Identifier: Apache-2.0
/* Owns: the memory of typed lines. State is the caller's; one thread. */
#include "shell/history.h"

#include <string.h>

void history_init(struct history *h)
{
	h->used = 0;
	h->count = 0;
}

static void drop_oldest(struct history *h)
{
	size_t len = strlen(h->text) + 1;

	memmove(h->text, h->text + len, h->used - len);
	h->used -= len;
	h->count--;
}

void history_add(struct history *h, const char *line)
{
	size_t len = strlen(line) + 1;
	const char *newest = history_get(h, 1);

	if (line[0] == '\0' || line[0] == ' ' || len > sizeof(h->text))
		return;
	if (newest && strcmp(newest, line) == 0)
		return;
	while (len > sizeof(h->text) - h->used)
		drop_oldest(h);
	memcpy(h->text + h->used, line, len);
	h->used += len;
	h->count++;
}

const char *history_get(const struct history *h, size_t back)
{
	const char *p = h->text;

	if (back == 0 || back > h->count)
		return NULL;
	for (size_t skip = h->count - back; skip > 0; skip--)
		p += strlen(p) + 1;
	return p;
}

size_t history_search(const struct history *h, const char *part, size_t back)
{
	for (; back >= 1 && back <= h->count; back++) {
		if (strstr(history_get(h, back), part))
			return back;
	}
	return 0;
}
