/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `log`: read the log and choose what it records. Context: the shell's thread.
 */
#include <string.h>

#include "kernel/cmd.h"
#include "kernel/lib/table.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/time/time.h"

#define FOLLOW_POLL_NS 100000000ull

static void print_entry(struct cmd_ctx *ctx, const struct log_entry *e)
{
	char line[LOG_TEXT_MAX + 64];

	log_line_format(line, sizeof(line), e->level, e->tag, e->tsc, e->text);
	cmd_printf(ctx, "%s\n", line);
}

/* Does the entry pass --level and --tag? */
static bool wanted(const struct log_entry *e, enum log_level level, const char *tag)
{
	return e->level <= level && (!tag || strcmp(tag, e->tag) == 0);
}

static int read_filter(struct cmd_ctx *ctx, enum log_level *level, const char **tag)
{
	const char *l = cmd_option(ctx, "--level");

	*level = LOG_DEBUG;
	*tag = cmd_option(ctx, "--tag");
	if (l && log_level_parse(l, level) != 0)
		return cmd_fail(ctx, -RAY_EINVAL, "--level=%s: must be error, warn, info or debug",
				l);
	return 0;
}

static void show_json(struct cmd_ctx *ctx, enum log_level level, const char *tag)
{
	struct log_entry e;
	uint64_t seq = 0;
	struct json j;

	json_init(&j, cmd_sink(ctx));
	json_array(&j, NULL);
	while (log_read(&seq, &e) && !cmd_interrupted(ctx)) {
		if (!wanted(&e, level, tag))
			continue;
		json_object(&j, NULL);
		json_u64(&j, "seq", e.seq);
		json_u64(&j, "time_ns", time_tsc_to_ns(e.tsc));
		json_u64(&j, "cpu", e.cpu);
		json_str(&j, "level", log_level_name(e.level));
		json_str(&j, "tag", e.tag);
		json_str(&j, "text", e.text);
		json_end(&j);
	}
	json_finish(&j);
}

static int log_show_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	enum log_level level;
	struct log_entry e;
	uint64_t seq = 0;
	const char *tag;
	int err = read_filter(ctx, &level, &tag);

	(void)argc;
	(void)argv;
	if (err)
		return err;
	if (cmd_json(ctx)) {
		show_json(ctx, level, tag);
		return 0;
	}
	while (log_read(&seq, &e) && !cmd_interrupted(ctx))
		if (wanted(&e, level, tag))
			print_entry(ctx, &e);
	return 0;
}

SHELL_CMD(log_show, "log show", "print the log", .options = "--level= --tag=",
	  .flags = CMD_JSON, .example = "log show --level=warn", .run = log_show_run);

static int log_follow_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	enum log_level level;
	struct log_entry e;
	uint64_t seq = 0;
	const char *tag;
	int err = read_filter(ctx, &level, &tag), c;

	(void)argc;
	(void)argv;
	if (err)
		return err;
	do {
		while (log_read(&seq, &e))
			if (wanted(&e, level, tag))
				print_entry(ctx, &e);
		c = cmd_read_byte(ctx, FOLLOW_POLL_NS);
	} while (c == -RAY_ETIMEDOUT);
	return 0;
}

SHELL_CMD(log_follow, "log follow", "print the log and what comes, until a key is pressed",
	  .options = "--level= --tag=", .example = "log follow --tag=hv", .run = log_follow_run);

static int log_clear_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	(void)ctx;
	(void)argc;
	(void)argv;
	log_clear();
	return 0;
}

SHELL_CMD(log_clear, "log clear", "forget all log entries", .example = "log clear",
	  .run = log_clear_run);

/* A tag that the log has seen, so that a name typed here need not be kept. */
static const char *find_tag(const char *name)
{
	struct log_entry e;
	uint64_t seq = 0;

	while (log_read(&seq, &e))
		if (strcmp(e.tag, name) == 0)
			return e.tag;
	return NULL;
}

static int log_level_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	const char *tag = NULL;
	enum log_level level;
	int err;

	if (argc == 0) {
		cmd_printf(ctx, "%s\n", log_level_name(log_level_get(NULL)));
		return 0;
	}
	if (log_level_parse(argv[0], &level) != 0)
		return cmd_fail(ctx, -RAY_EINVAL, "%s: must be error, warn, info or debug",
				argv[0]);
	if (argc == 2) {
		tag = find_tag(argv[1]);
		if (!tag)
			return cmd_fail(ctx, -RAY_ENOENT, "no entry of the log has the tag %s",
					argv[1]);
	}
	err = log_level_set(tag, level);
	return err ? cmd_fail(ctx, err, "too many tags have a level of their own") : 0;
}

static void log_level_complete(struct cmd_complete *c, int arg)
{
	for (int l = LOG_ERR; arg == 0 && l <= LOG_DEBUG; l++)
		cmd_complete_add(c, log_level_name((enum log_level)l));
}

SHELL_CMD(log_level, "log level", "show or set what is recorded, of one tag or of all",
	  .args = "[LEVEL [TAG]]", .max_args = 2, .example = "log level debug",
	  .complete = log_level_complete, .run = log_level_run);

static int log_console_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	enum log_level level;

	(void)argc;
	if (log_level_parse(argv[0], &level) != 0)
		return cmd_fail(ctx, -RAY_EINVAL, "%s: must be error, warn, info or debug",
				argv[0]);
	log_console_level_set(level);
	return 0;
}

SHELL_CMD(log_console, "log console", "set what of the log the console shows",
	  .args = "LEVEL", .min_args = 1, .max_args = 1, .example = "log console warn",
	  .complete = log_level_complete, .run = log_console_run);
