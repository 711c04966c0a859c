/* UNIT: shell/command.c shell/words.c shell/complete.c shell/editor.c shell/editor_view.c
 *       shell/keys.c shell/history.c kernel/cmd.c kernel/lib/nearest.c kernel/lib/utf8.c
 *       kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/err.c */
/* PARSER: shell/command.c shell/words.c shell/complete.c shell/editor.c shell/editor_view.c
 *         shell/keys.c shell/history.c kernel/cmd.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * The console as an attacker sees it: any bytes into the line editor, every line that comes
 * out into the command table. What is printed must be text or the editor's own sequences.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cmd.h"
#include "shell/command.h"
#include "shell/complete.h"
#include "shell/editor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *in, *in_end;

static int any_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (!utf8_valid(argv[i], strlen(argv[i])))
			abort();
		cmd_printf(ctx, "%s\n", argv[i]);
	}
	(void)cmd_option(ctx, "--level");
	return cmd_interrupted(ctx) ? -RAY_ECANCELED : 0;
}

static void names(struct cmd_complete *c, int arg)
{
	for (int i = 0; i < c->argc; i++)
		cmd_complete_add(c, c->argv[i]);
	if (c->argc != arg)
		abort();
	cmd_complete_add(c, "demo");
	cmd_complete_add(c, "d\xc3\xa9mo");
	cmd_complete_add(c, "d\xc3\xa8mo");
}

SHELL_CMD(a, "vm start", "s", .args = "NAME", .min_args = 1, .max_args = 5,
	  .options = "--all --level=", .flags = CMD_JSON, .run = any_run, .complete = names);
SHELL_CMD(b, "vm stop", "s", .max_args = 255, .run = any_run, .complete = names);
SHELL_CMD(c, "panic", "s", .flags = CMD_CONFIRM, .run = any_run);

/* The bytes an operator's terminal may get: text, and the controls the editor knows. */
static void check_output(struct sink *self, const char *data, size_t len)
{
	(void)self;
	for (size_t i = 0; i < len; i++) {
		uint8_t ch = (uint8_t)data[i];

		if (ch < 0x20 && !strchr("\n\r\b\a\x1b", ch))
			abort();
		if (ch == 0x7f)
			abort();
	}
}

static struct sink out = { check_output };

static void io_write(struct cmd_io *io, const char *s, size_t len)
{
	(void)io;
	check_output(&out, s, len);
}

static int io_read(struct cmd_io *io, uint64_t timeout_ns)
{
	(void)io;
	(void)timeout_ns;
	return in < in_end ? *in++ : -RAY_ENODEV;
}

static bool io_interrupted(struct cmd_io *io)
{
	(void)io;
	return in < in_end && *in == 3;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct editor ed;
	static struct history history;
	static char line[EDITOR_LINE_MAX];
	struct cmd_io io = { .write = io_write, .read = io_read, .interrupted = io_interrupted };

	in = data;
	in_end = data + size;
	history_init(&history);
	history_add(&history, "vm start demo");
	editor_init(&ed, &out, &history, complete_line);
	editor_start(&ed, "rayos> ");
	while (in < in_end) {
		enum editor_result r = editor_feed(&ed, *in++);

		if (ed.cursor > ed.len || ed.line[ed.len] != '\0')
			abort();
		/* Whole-line checks cost its length: not behind every byte of a long one. */
		if ((r != EDITOR_MORE || ed.len < 32 || (in - data) % 64 == 0) &&
		    (strlen(ed.line) != ed.len || !utf8_valid(ed.line, ed.len) ||
		     !utf8_valid(ed.line, ed.cursor)))
			abort();
		if (r == EDITOR_MORE)
			continue;
		if (r == EDITOR_LINE) {
			memcpy(line, ed.line, sizeof(line));
			history_add(&history, line);
			(void)command_run_line(&io, line);
		}
		editor_start(&ed, "rayos> ");
	}
	return 0;
}
