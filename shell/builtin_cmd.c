// SPDX-License-Identifier: Apache-2.0
/*
 * The commands that belong to no subsystem: help, version, clear, history, status, selftest.
 * Owns: their texts. Context: the shell's thread.
 */
#include <string.h>

#include "kernel/cmd.h"
#include "kernel/lib/json.h"
#include "kernel/lib/table.h"
#include "kernel/selftest.h"
#include "kernel/smbios/smbios.h"
#include "shell/command.h"
#include "shell/session.h"
#include "version.h"

#define NAME_COLUMN 44u

extern const struct selftest_desc *const __start_rayos_selftests[];
extern const struct selftest_desc *const __stop_rayos_selftests[];

static void print_summary(struct sink *out, const struct shell_cmd *c)
{
	size_t len = strlen(c->name) + (c->args ? strlen(c->args) + 1 : 0);

	sink_printf(out, "  %s%s%s", c->name, c->args ? " " : "", c->args ? c->args : "");
	if (len + 1 > NAME_COLUMN) {
		sink_puts(out, "\n");
		len = 0;
		sink_puts(out, "  ");
	}
	sink_fill(out, ' ', NAME_COLUMN - len);
	sink_printf(out, "%s\n", c->summary);
}

/* All commands of the group of @first, which is its first in the order of names. */
static void print_group(struct sink *out, const struct shell_cmd *first, bool examples)
{
	const struct shell_cmd *c = first;
	size_t len = command_group_len(first);

	for (; c; c = command_next(c)) {
		if (c->name[len] != ' ' || strncmp(c->name, first->name, len) != 0)
			continue;
		print_summary(out, c);
		if (examples && c->example)
			sink_printf(out, "      example: %s\n", c->example);
	}
}

static const struct shell_cmd *group_first(const char *group)
{
	const struct shell_cmd *c = NULL;

	while ((c = command_next(c)) != NULL) {
		if (command_in_group(c, group))
			return c;
	}
	return NULL;
}

static void help_all(struct sink *out)
{
	const struct shell_cmd *c = NULL;
	char group[64] = "";

	sink_puts(out, "General:\n");
	while ((c = command_next(c)) != NULL) {
		if (c->name[command_group_len(c)] == '\0')
			print_summary(out, c);
	}
	while ((c = command_next(c)) != NULL) {
		size_t len = command_group_len(c);

		if (c->name[len] == '\0' || command_in_group(c, group))
			continue;
		strlcpy(group, c->name, MIN(sizeof(group), len + 1));
		sink_printf(out, "\n%s:\n", group);
		print_group(out, c, false);
	}
	sink_puts(out, "\n'help COMMAND' says more and gives an example. Keys: Tab completes, "
		       "arrows edit\nand recall, Ctrl-R searches, Ctrl-C interrupts.\n");
}

static void help_json(struct sink *out)
{
	const struct shell_cmd *c = NULL;
	struct json j;

	json_init(&j, out);
	json_array(&j, NULL);
	while ((c = command_next(c)) != NULL) {
		json_object(&j, NULL);
		json_str(&j, "name", c->name);
		json_str(&j, "summary", c->summary);
		json_str(&j, "args", c->args);
		json_str(&j, "options", c->options);
		json_str(&j, "help", c->help);
		json_str(&j, "example", c->example);
		json_bool(&j, "json", c->flags & CMD_JSON);
		json_bool(&j, "confirm", c->flags & CMD_CONFIRM);
		json_end(&j);
	}
	json_finish(&j);
}

static int help_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	const struct shell_cmd *c, *group;
	int used;

	if (cmd_json(ctx)) {
		help_json(cmd_sink(ctx));
		return 0;
	}
	if (argc == 0) {
		help_all(cmd_sink(ctx));
		return 0;
	}
	c = command_find(argv, argc, &used);
	if (c && used == argc)
		command_print_help(cmd_sink(ctx), c);
	group = argc == 1 ? group_first(argv[0]) : NULL;
	if (group)
		print_group(cmd_sink(ctx), group, true);
	if (group || (c && used == argc))
		return 0;
	return cmd_fail(ctx, -RAY_ENOENT, "no command '%s%s%s'; 'help' lists all", argv[0],
			argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
}

static void help_complete(struct cmd_complete *cc, int arg)
{
	const struct shell_cmd *c = NULL;

	while ((c = command_next(c)) != NULL) {
		size_t len = command_group_len(c);
		char word[64];

		if (arg == 0) {
			strlcpy(word, c->name, MIN(sizeof(word), len + 1));
			cmd_complete_add(cc, word);
		} else if (command_in_group(c, cc->argv[0])) {
			cmd_complete_add(cc, c->name + len + 1);
		}
	}
}

SHELL_CMD(help, "help", "list the commands, or explain one", .args = "[COMMAND]", .max_args = 2,
	  .flags = CMD_JSON, .example = "help vm start", .run = help_run,
	  .complete = help_complete);

static int version_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	const struct smbios_info *machine = smbios_info();
	struct record r;

	(void)argc;
	(void)argv;
	record_begin(&r, cmd_sink(ctx), cmd_json(ctx));
	record_str(&r, "version", RAYOS_VERSION);
	record_str(&r, "revision", RAYOS_REVISION);
	record_str(&r, "compiler", "gcc " __VERSION__);
	if (machine->major != 0) {
		record_fmt(&r, "machine", "%s %s", machine->vendor, machine->product);
		if (machine->serial[0] != '\0')
			record_str(&r, "serial", machine->serial);
		record_fmt(&r, "firmware", "%s %s", machine->bios_vendor, machine->bios_version);
	}
	record_end(&r);
	return 0;
}

SHELL_CMD(version, "version", "show what this build is", .flags = CMD_JSON,
	  .example = "version --json", .run = version_run);

static int clear_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	cmd_printf(ctx, "\x1b[H\x1b[2J");
	return 0;
}

SHELL_CMD(clear, "clear", "clear the screen", .example = "clear", .run = clear_run);

static int history_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	const struct history *h = session_history();

	(void)argc;
	(void)argv;
	for (size_t back = h->count; back > 0; back--)
		cmd_printf(ctx, "%4zu  %s\n", h->count - back + 1, history_get(h, back));
	return 0;
}

SHELL_CMD(history, "history", "list the lines typed before", .example = "history",
	  .run = history_run);

static int status_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	int status = session_last_status();
	struct record r;

	(void)argc;
	(void)argv;
	record_begin(&r, cmd_sink(ctx), cmd_json(ctx));
	record_u64(&r, "status", (uint64_t)(status < 0 ? -status : status));
	record_str(&r, "meaning", status > 0 ? "the answer was no" : ray_strerror(status));
	record_end(&r);
	return 0;
}

SHELL_CMD(status, "status", "show the result of the last command", .flags = CMD_JSON,
	  .example = "status", .run = status_run);

static int selftest_cmd_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	unsigned int passed, failed;

	if (cmd_option(ctx, "--list")) {
		const struct selftest_desc *const *d;

		for (d = __start_rayos_selftests; d < __stop_rayos_selftests; d++)
			cmd_printf(ctx, "%s\n", (*d)->name);
		return 0;
	}
	selftest_run(cmd_sink(ctx), argc > 0 ? argv[0] : "", &passed, &failed);
	cmd_printf(ctx, "%u passed, %u failed\n", passed, failed);
	if (passed + failed == 0)
		return cmd_fail(ctx, -RAY_ENOENT, "no test begins with '%s'",
				argc > 0 ? argv[0] : "");
	return failed ? 1 : 0;
}

static void selftest_complete(struct cmd_complete *c, int arg)
{
	const struct selftest_desc *const *d;

	(void)arg;
	for (d = __start_rayos_selftests; d < __stop_rayos_selftests; d++)
		cmd_complete_add(c, (*d)->name);
}

SHELL_CMD(selftest, "selftest", "run the tests built into the kernel", .args = "[PREFIX]",
	  .max_args = 1, .options = "--list", .example = "selftest mm_heap",
	  .run = selftest_cmd_run, .complete = selftest_complete);

/* What the linker collected cannot be checked earlier. Equal names are stepped over as one. */
static void test_commands(struct selftest *t)
{
	const struct shell_cmd *c = NULL;
	size_t distinct = 0;

	while ((c = command_next(c)) != NULL) {
		distinct++;
		SELFTEST_CHECK(t, c->run && c->summary && c->example);
		SELFTEST_CHECK(t, c->min_args <= c->max_args);
	}
	SELFTEST_CHECK(t, distinct > 0 && distinct == command_count());
}
SELFTEST(shell_commands, test_commands);
