// SPDX-License-Identifier: Apache-2.0
/* Owns: the command table, usage checks, dispatch. No state of its own; context: thread. */
#include "shell/command.h"

#include <string.h>

#include "kernel/lib/nearest.h"
#include "shell/words.h"

/* Defined by linker.ld; on the host by the linker itself. */
extern const struct shell_cmd *const __start_rayos_cmds[];
extern const struct shell_cmd *const __stop_rayos_cmds[];

const struct shell_cmd *command_next(const struct shell_cmd *after)
{
	const struct shell_cmd *best = NULL;
	const struct shell_cmd *const *p;

	for (p = __start_rayos_cmds; p < __stop_rayos_cmds; p++) {
		if (after && strcmp((*p)->name, after->name) <= 0)
			continue;
		if (!best || strcmp((*p)->name, best->name) < 0)
			best = *p;
	}
	return best;
}

size_t command_count(void)
{
	return (size_t)(__stop_rayos_cmds - __start_rayos_cmds);
}

size_t command_group_len(const struct shell_cmd *cmd)
{
	return strcspn(cmd->name, " ");
}

bool command_in_group(const struct shell_cmd *cmd, const char *group)
{
	size_t len = command_group_len(cmd);

	return cmd->name[len] == ' ' && strlen(group) == len && memcmp(cmd->name, group, len) == 0;
}

static const char *second_word(const struct shell_cmd *cmd)
{
	return cmd->name + command_group_len(cmd) + 1;
}

const struct shell_cmd *command_find(char *const *words, int count, int *used)
{
	const struct shell_cmd *const *p, *one = NULL;

	for (p = __start_rayos_cmds; count > 0 && p < __stop_rayos_cmds; p++) {
		if (strcmp((*p)->name, words[0]) == 0)
			one = *p;
		if (count > 1 && command_in_group(*p, words[0]) &&
		    strcmp(second_word(*p), words[1]) == 0) {
			*used = 2;
			return *p;
		}
	}
	*used = 1;
	return one;
}

void command_print_usage(struct sink *out, const struct shell_cmd *cmd)
{
	const char *o = cmd->options;

	sink_puts(out, cmd->name);
	if (cmd->args)
		sink_printf(out, " %s", cmd->args);
	while (o && *o) {
		size_t len = strcspn(o, " ");
		const char *value = len > 0 && o[len - 1] == '=' ? "VALUE" : "";

		sink_printf(out, " [%.*s%s]", (int)len, o, value);
		o += len + strspn(o + len, " ");
	}
	if (cmd->flags & CMD_JSON)
		sink_puts(out, " [--json]");
	if (cmd->flags & CMD_CONFIRM)
		sink_puts(out, " [--yes]");
}

void command_print_help(struct sink *out, const struct shell_cmd *cmd)
{
	sink_printf(out, "%s - %s\n\nusage:   ", cmd->name, cmd->summary);
	command_print_usage(out, cmd);
	sink_puts(out, "\n");
	if (cmd->example)
		sink_printf(out, "example: %s\n", cmd->example);
	if (cmd->help)
		sink_printf(out, "\n%s\n", cmd->help);
}

static int usage_error(struct cmd_ctx *ctx, const char *what)
{
	sink_printf(&ctx->out, "error: %s\nusage: ", what);
	command_print_usage(&ctx->out, ctx->cmd);
	sink_puts(&ctx->out, "\n");
	return -RAY_EINVAL;
}

/* The group exists, the command in it does not. */
static int unknown_in_group(struct sink *out, char *const *words, int count)
{
	const struct shell_cmd *c = NULL;
	struct nearest near;
	const char *sep = "";

	nearest_init(&near, count > 1 ? words[1] : "");
	while ((c = command_next(c)) != NULL) {
		if (command_in_group(c, words[0]))
			nearest_offer(&near, second_word(c));
	}
	if (count > 1)
		sink_printf(out, "error: unknown command '%s %s'", words[0], words[1]);
	else
		sink_printf(out, "error: '%s' needs a second word", words[0]);
	if (nearest_result(&near))
		sink_printf(out, "; did you mean '%s %s'?\n", words[0], nearest_result(&near));
	else
		sink_puts(out, "\n");
	sink_printf(out, "there is: %s ", words[0]);
	while ((c = command_next(c)) != NULL) {
		if (!command_in_group(c, words[0]))
			continue;
		sink_printf(out, "%s%s", sep, second_word(c));
		sep = " | ";
	}
	sink_puts(out, "\n");
	return -RAY_EINVAL;
}

static int unknown_command(struct sink *out, char *const *words, int count)
{
	const struct shell_cmd *c = NULL;
	char first[NEAREST_WORD_MAX + 1], best[NEAREST_WORD_MAX + 1] = "";
	struct nearest near;

	nearest_init(&near, words[0]);
	while ((c = command_next(c)) != NULL) {
		if (command_in_group(c, words[0]))
			return unknown_in_group(out, words, count);
		strlcpy(first, c->name, MIN(sizeof(first), command_group_len(c) + 1));
		nearest_offer(&near, first);
		/* The offered word must outlive the search; names are not terminated there. */
		if (near.best == first) {
			strlcpy(best, first, sizeof(best));
			near.best = best;
		}
	}
	sink_printf(out, "error: unknown command '%s'", words[0]);
	if (nearest_result(&near))
		sink_printf(out, "; did you mean '%s'?\n", best);
	else
		sink_puts(out, "; 'help' lists all\n");
	return -RAY_EINVAL;
}

/* Is the option in the command's list? *takes_value tells which form it has. */
static bool option_known(const struct shell_cmd *cmd, const char *opt, size_t len,
			 bool *takes_value)
{
	const char *o = cmd->options;

	while (o && *o) {
		size_t olen = strcspn(o, " ");
		bool value = o[olen - 1] == '=';

		if (olen - value == len && memcmp(o, opt, len) == 0) {
			*takes_value = value;
			return true;
		}
		o += olen + strspn(o + olen, " ");
	}
	return false;
}

static int take_option(struct cmd_ctx *ctx, char *opt)
{
	size_t len = strcspn(opt, "=");
	bool has_value = opt[len] == '=', takes_value = false;

	if (!option_known(ctx->cmd, opt, len, &takes_value)) {
		sink_printf(&ctx->out, "error: %s has no option '%.*s'\nusage: ", ctx->cmd->name,
			    (int)len, opt);
		command_print_usage(&ctx->out, ctx->cmd);
		sink_puts(&ctx->out, "\n");
		return -RAY_EINVAL;
	}
	if (has_value != takes_value) {
		sink_printf(&ctx->out, takes_value ? "error: write %.*s=VALUE\n"
						   : "error: %.*s takes no value\n",
			    (int)len, opt);
		return -RAY_EINVAL;
	}
	ctx->options[ctx->option_count++] = opt;
	return 0;
}

struct parsed {
	int argc;
	char *argv[CMD_WORDS_MAX + 1];
	bool help, yes;
};

/* Sorts the words behind the name into options and arguments. "--" ends the options. */
static int sort_words(struct cmd_ctx *ctx, char **words, int count, struct parsed *p)
{
	bool options = true;

	for (int i = 0; i < count; i++) {
		char *w = words[i];
		int err;

		if (!options || strncmp(w, "--", 2) != 0) {
			p->argv[p->argc++] = w;
		} else if (w[2] == '\0') {
			options = false;
		} else if (strcmp(w, "--help") == 0) {
			p->help = true;
		} else if (strcmp(w, "--json") == 0 && (ctx->cmd->flags & CMD_JSON)) {
			ctx->json = true;
		} else if (strcmp(w, "--yes") == 0 && (ctx->cmd->flags & CMD_CONFIRM)) {
			p->yes = true;
		} else {
			err = take_option(ctx, w);
			if (err < 0)
				return err;
		}
	}
	p->argv[p->argc] = NULL;
	return 0;
}

static void hold(struct cmd_ctx *ctx, bool on)
{
	if (ctx->holding != on && ctx->io->hold)
		ctx->io->hold(ctx->io, on);
	ctx->holding = on;
}

static int run_command(struct cmd_ctx *ctx, char **words, int count)
{
	struct parsed p = { 0 };
	int err = sort_words(ctx, words, count, &p);

	if (err < 0)
		return err;
	if (p.help) {
		command_print_help(&ctx->out, ctx->cmd);
		return 0;
	}
	if (p.argc < ctx->cmd->min_args)
		return usage_error(ctx, "too few arguments");
	if (p.argc > ctx->cmd->max_args)
		return usage_error(ctx, "too many arguments");
	if ((ctx->cmd->flags & CMD_CONFIRM) && !p.yes &&
	    !cmd_confirm(ctx, "%s: are you sure?", ctx->cmd->name)) {
		cmd_printf(ctx, "not done\n");
		ctx->failed_said = true;
		return -RAY_ECANCELED;
	}
	err = ctx->cmd->run(ctx, p.argc, p.argv);
	hold(ctx, false); /* a command that failed may have left its line open */
	if (err < 0 && !ctx->failed_said)
		cmd_printf(ctx, "error: %s: %s\n", ctx->cmd->name, ray_strerror(err));
	return err;
}

/* A document of JSON is one line, which nothing of others may cut (kernel/lib/json.h). */
static void ctx_put(struct sink *self, const char *data, size_t len)
{
	struct cmd_ctx *ctx = container_of(self, struct cmd_ctx, out);

	if (ctx->json)
		hold(ctx, true);
	cmd_write(ctx, data, len);
	if (ctx->json && data[len - 1] == '\n')
		hold(ctx, false);
}

int command_run_line(struct cmd_io *io, char *line)
{
	struct cmd_ctx ctx = { .out = { ctx_put }, .io = io };
	struct words w;
	int used, err = words_split(line, &w);

	if (err == -RAY_E2BIG) {
		cmd_printf(&ctx, "error: more than %d words\n", CMD_WORDS_MAX);
		return err;
	}
	if (err < 0) {
		if (w.quote)
			cmd_printf(&ctx, "error: a quote (%c) is not closed\n", w.quote);
		else
			cmd_printf(&ctx, "error: a backslash ends the line\n");
		return err;
	}
	if (w.count == 0)
		return 0;
	ctx.cmd = command_find(w.word, w.count, &used);
	if (!ctx.cmd)
		return unknown_command(&ctx.out, w.word, w.count);
	return run_command(&ctx, w.word + used, w.count - used);
}
