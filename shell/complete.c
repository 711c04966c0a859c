// SPDX-License-Identifier: Apache-2.0
/* Owns: what a half-typed word can become. No state of its own; one thread. */
#include "shell/complete.h"

#include <string.h>

#include "shell/command.h"
#include "shell/words.h"

#define CHOICES_MAX   128u
#define CHOICE_BYTES  3072u
#define LIST_COLUMNS  80u
#define LIST_GAP      2u

struct choices {
	struct cmd_complete query;
	char *argv[CMD_WORDS_MAX]; /* query.argv */
	const char *word[CHOICES_MAX];
	size_t count;
	char pool[CHOICE_BYTES];
	size_t used;
	bool more;     /* not all found room */
	size_t common; /* bytes all offered words share, those without room too */
};

static size_t shared_len(const char *a, const char *b, size_t max)
{
	size_t n = 0;

	while (n < max && a[n] == b[n])
		n++;
	return n;
}

static void choice_add(struct cmd_complete *c, const char *word)
{
	struct choices *ch = container_of(c, struct choices, query);
	size_t len = strlen(word) + 1;

	/* Would need quoting when inserted; nothing that is meant to be typed is like that. */
	if (word[strcspn(word, " \t\"'\\")] != '\0')
		return;
	for (size_t i = 0; i < ch->count; i++) {
		if (strcmp(ch->word[i], word) == 0)
			return;
	}
	ch->common = ch->count ? shared_len(ch->word[0], word, ch->common) : len - 1;
	if (ch->count == CHOICES_MAX || len > sizeof(ch->pool) - ch->used) {
		ch->more = true;
		return;
	}
	ch->word[ch->count++] = memcpy(ch->pool + ch->used, word, len);
	ch->used += len;
}

/* Offers the first word of @text, up to a space. */
static void offer_first_word(struct choices *ch, const char *text)
{
	char word[64];
	size_t len = strcspn(text, " ");

	if (len >= sizeof(word))
		return;
	memcpy(word, text, len);
	word[len] = '\0';
	cmd_complete_add(&ch->query, word);
}

/* @group NULL: the first words of all commands; else the second words of that group. */
static void offer_names(struct choices *ch, const char *group)
{
	const struct shell_cmd *c = NULL;

	while ((c = command_next(c)) != NULL) {
		if (!group)
			offer_first_word(ch, c->name);
		else if (command_in_group(c, group))
			offer_first_word(ch, c->name + command_group_len(c) + 1);
	}
}

static void offer_options(struct choices *ch, const struct shell_cmd *cmd)
{
	const char *o = cmd->options;

	while (o && *o) {
		offer_first_word(ch, o);
		o += strcspn(o, " ");
		o += strspn(o, " ");
	}
	if (cmd->flags & CMD_JSON)
		cmd_complete_add(&ch->query, "--json");
	if (cmd->flags & CMD_CONFIRM)
		cmd_complete_add(&ch->query, "--yes");
	cmd_complete_add(&ch->query, "--help");
}

static void offer_arguments(struct choices *ch, const struct shell_cmd *cmd, char **words, int count)
{
	int argc = 0;

	if (strncmp(ch->query.prefix, "--", 2) == 0) {
		offer_options(ch, cmd);
		return;
	}
	for (int i = 0; i < count; i++) {
		if (strncmp(words[i], "--", 2) != 0)
			ch->argv[argc++] = words[i];
	}
	ch->query.argc = argc;
	ch->query.argv = ch->argv;
	if (cmd->complete && argc < cmd->max_args)
		cmd->complete(&ch->query, argc);
}

static void collect(struct choices *ch, char *text)
{
	const struct shell_cmd *cmd;
	struct words w;
	int before, used;

	if (words_split(text, &w) == -RAY_E2BIG)
		return;
	before = w.last_open ? w.count - 1 : w.count;
	ch->query.prefix = w.last_open ? w.word[w.count - 1] : "";
	ch->query.prefix_len = strlen(ch->query.prefix);
	if (before == 0) {
		offer_names(ch, NULL);
		return;
	}
	if (before == 1)
		offer_names(ch, w.word[0]);
	cmd = command_find(w.word, before, &used);
	if (cmd)
		offer_arguments(ch, cmd, w.word + used, before - used);
}

/* What is certain, whole characters only. */
static size_t common_len(const struct choices *ch)
{
	size_t len = ch->common;

	while (len > 0 && ((uint8_t)ch->word[0][len] & 0xc0) == 0x80)
		len--;
	return len;
}

static void print_choices(struct sink *out, const struct choices *ch)
{
	size_t width = 0, per_row;

	for (size_t i = 0; i < ch->count; i++)
		width = MAX(width, strlen(ch->word[i]));
	width += LIST_GAP;
	per_row = MAX(LIST_COLUMNS / width, 1u);
	sink_puts(out, "\n");
	for (size_t i = 0; i < ch->count; i++) {
		bool last = i + 1 == ch->count || (i + 1) % per_row == 0;

		sink_puts(out, ch->word[i]);
		if (last)
			sink_puts(out, "\n");
		else
			sink_fill(out, ' ', width - strlen(ch->word[i]));
	}
	if (ch->more)
		sink_puts(out, "...\n");
}

bool complete_line(struct editor *ed, bool list)
{
	struct choices ch = { .query = { .add = choice_add } };
	char text[EDITOR_LINE_MAX];
	size_t typed, common;

	memcpy(text, ed->line, ed->cursor);
	text[ed->cursor] = '\0';
	collect(&ch, text);
	if (ch.count == 0)
		return false;
	typed = ch.query.prefix_len;
	common = common_len(&ch);
	if (ch.count == 1 && !ch.more) {
		bool space = common > 0 && ch.word[0][common - 1] != '=' &&
			     ed->line[ed->cursor] != ' ';

		return editor_insert(ed, ch.word[0] + typed, common - typed) &&
		       (!space || editor_insert(ed, " ", 1));
	}
	if (common > typed)
		return editor_insert(ed, ch.word[0] + typed, common - typed);
	if (!list)
		return false;
	print_choices(ed->out, &ch);
	editor_redraw(ed);
	return true;
}
