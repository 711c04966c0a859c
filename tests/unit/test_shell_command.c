/* UNIT: shell/command.c shell/words.c shell/complete.c shell/editor.c shell/editor_view.c
 *       shell/keys.c shell/history.c kernel/cmd.c kernel/lib/nearest.c kernel/lib/utf8.c
 *       kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/err.c */
// SPDX-License-Identifier: Apache-2.0
/* From a line to a call: words, lookup, options, usage errors, suggestions, completion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/cmd.h"
#include "shell/command.h"
#include "shell/complete.h"
#include "shell/words.h"

static char out_text[8192];
static struct buf_sink out;
static const char *input; /* what the terminal will type */
static char called[512];
static int result;

static int fake_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	size_t n = (size_t)snprintf(called, sizeof(called), "%s", ctx->cmd->name);

	for (int i = 0; i < argc; i++)
		n += (size_t)snprintf(called + n, sizeof(called) - n, "|%s", argv[i]);
	assert_null(argv[argc]);
	if (cmd_option(ctx, "--all"))
		n += (size_t)snprintf(called + n, sizeof(called) - n, "+all%s",
		                      cmd_option(ctx, "--all"));
	if (cmd_option(ctx, "--level"))
		n += (size_t)snprintf(called + n, sizeof(called) - n, "+level=%s",
		                      cmd_option(ctx, "--level"));
	if (cmd_json(ctx))
		snprintf(called + n, sizeof(called) - n, "+json");
	return result;
}

static int fail_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	(void)argc;
	return cmd_fail(ctx, -RAY_ENOENT, "no VM '%s'", argv[0]);
}

static int wait_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	int n = 0;

	(void)argc;
	(void)argv;
	while (!cmd_interrupted(ctx))
		n++;
	cmd_printf(ctx, "%d %d", n, cmd_interrupted(ctx));
	return -RAY_ECANCELED;
}

static void endless(struct cmd_complete *c, int arg)
{
	char word[40];

	(void)arg;
	for (int i = 0; i < 1000; i++) {
		snprintf(word, sizeof(word), "%s%03d", i < 200 ? "same" : "other", i);
		cmd_complete_add(c, word);
	}
	memset(word, 'z', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	cmd_complete_add(c, word);
}

/* Documents whose parts others' lines would come between. */
static int json_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	sink_puts(cmd_sink(ctx), "[");
	sink_puts(cmd_sink(ctx), "1]");
	sink_puts(cmd_sink(ctx), argc ? "" : "\n");
	(void)argv;
	return 0;
}

static void vm_names(struct cmd_complete *c, int arg)
{
	if (arg == 0) {
		cmd_complete_add(c, "demo");
		cmd_complete_add(c, "demolition");
		cmd_complete_add(c, "other");
		cmd_complete_add(c, "has space");
	} else {
		assert_string_equal(c->argv[0], "demo");
		cmd_complete_add(c, "second");
	}
}

SHELL_CMD(log, "log", "show the log", .options = "--all --level=", .flags = CMD_JSON,
          .example = "log --all", .run = fake_run);
SHELL_CMD(panic, "panic", "stop", .flags = CMD_CONFIRM, .run = fake_run, .example = "panic");
SHELL_CMD(vm_start, "vm start", "start it", .args = "NAME [COUNT]", .min_args = 1, .max_args = 2,
          .example = "vm start demo", .help = "It starts.", .run = fake_run,
          .complete = vm_names);
SHELL_CMD(vm_stop, "vm stop", "stop it", .args = "NAME", .min_args = 1, .max_args = 1,
          .example = "vm stop demo", .run = fail_run);
SHELL_CMD(vmstat, "vmstat", "numbers", .run = wait_run, .example = "vmstat");
SHELL_CMD(rows, "rows", "list", .max_args = 1, .flags = CMD_JSON, .run = json_run, .example = "rows");
SHELL_CMD(many, "many", "many words", .max_args = 255, .run = fake_run, .example = "many",
          .complete = endless);

static void io_write(struct cmd_io *io, const char *s, size_t len)
{
	(void)io;
	out.sink.put(&out.sink, s, len);
}

static int io_read(struct cmd_io *io, uint64_t timeout_ns)
{
	(void)io;
	(void)timeout_ns;
	return input && *input ? (uint8_t)*input++ : -RAY_ENODEV;
}

static int polls;

static bool io_interrupted(struct cmd_io *io)
{
	(void)io;
	return ++polls == 4;
}

static void io_hold(struct cmd_io *io, bool on)
{
	(void)io;
	sink_puts(&out.sink, on ? "<" : ">");
}

static struct cmd_io io = { io_write, io_read, io_interrupted, io_hold };

static int run(const char *line)
{
	char *copy = strdup(line);
	int r;

	buf_sink_init(&out, out_text, sizeof(out_text));
	called[0] = '\0';
	r = command_run_line(&io, copy);
	free(copy);
	return r;
}

static void test_words(void **state)
{
	static const struct {
		const char *line;
		int err;
		const char *words; /* joined by | */
		bool open;
	} t[] = {
		{ "", 0, "", false },
		{ "  \t ", 0, "", false },
		{ "a", 0, "a", true },
		{ " a  b\tc ", 0, "a|b|c", false },
		{ "a 'b c' d", 0, "a|b c|d", true },
		{ "\"x y\"z", 0, "x yz", true },
		{ "'' \"\"", 0, "|", true },
		{ "a\\ b \\\\ \\'", 0, "a b|\\|'", true },
		{ "\"a\\\"b\\\\c\\d\"", 0, "a\"b\\c\\d", true },
		{ "'a\\b'", 0, "a\\b", true },
		{ "a 'b", -RAY_EINVAL, "a|b", true },
		{ "\"", -RAY_EINVAL, "", true },
		{ "a\\", -RAY_EINVAL, "a", true },
		{ "k=\"v w\" x", 0, "k=v w|x", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char *copy = strdup(t[i].line), joined[100] = "";
		struct words w;

		assert_int_equal(words_split(copy, &w), t[i].err);
		for (int k = 0; k < w.count; k++) {
			if (k > 0)
				strlcat(joined, "|", sizeof(joined));
			strlcat(joined, w.word[k], sizeof(joined));
		}
		assert_string_equal(joined, t[i].words);
		assert_int_equal(w.last_open, t[i].open);
		free(copy);
	}
}

static void test_dispatch(void **state)
{
	(void)state;
	result = 0;
	assert_int_equal(run(""), 0);
	assert_int_equal(run("vm start demo"), 0);
	assert_string_equal(called, "vm start|demo");
	assert_int_equal(run("  vm   start 'a b' \"3\""), 0);
	assert_string_equal(called, "vm start|a b|3");
	assert_int_equal(run("log --all --level=debug --json"), 0);
	assert_string_equal(called, "log+all+level=debug+json");
	assert_int_equal(run("log --level=a --level=b=c"), 0);
	assert_string_equal(called, "log+level=b=c");
	assert_int_equal(run("vm start -- --all"), 0);
	assert_string_equal(called, "vm start|--all");
	assert_int_equal(run("vm start -1"), 0);
	assert_string_equal(called, "vm start|-1");
	result = 1;
	assert_int_equal(run("log"), 1);
	assert_string_equal(out_text, "");
	result = -RAY_ENOMEM;
	assert_int_equal(run("log"), -RAY_ENOMEM);
	assert_string_equal(out_text, "error: log: out of memory\n");
	assert_int_equal(run("vm stop ghost"), -RAY_ENOENT);
	assert_string_equal(out_text, "error: no VM 'ghost'\n");
	result = 0;
}

static void test_usage_errors(void **state)
{
	static const struct {
		const char *line, *says;
	} t[] = {
		{ "vm start", "error: too few arguments\nusage: vm start NAME [COUNT]\n" },
		{ "vm start a b c", "error: too many arguments\nusage: vm start NAME [COUNT]\n" },
		{ "log x", "error: too many arguments\n"
		           "usage: log [--all] [--level=VALUE] [--json]\n" },
		{ "log --al", "error: log has no option '--al'\n"
		              "usage: log [--all] [--level=VALUE] [--json]\n" },
		{ "log --all=1", "error: --all takes no value\n" },
		{ "log --level", "error: write --level=VALUE\n" },
		{ "vm start a --json", "error: vm start has no option '--json'\n"
		                       "usage: vm start NAME [COUNT]\n" },
		{ "log --yes", "error: log has no option '--yes'\n"
		               "usage: log [--all] [--level=VALUE] [--json]\n" },
		{ "lgo", "error: unknown command 'lgo'; did you mean 'log'?\n" },
		{ "v start", "error: unknown command 'v'; did you mean 'vm'?\n" },
		{ "xyzzy", "error: unknown command 'xyzzy'; 'help' lists all\n" },
		{ "vm", "error: 'vm' needs a second word\nthere is: vm start | stop\n" },
		{ "vm strat demo", "error: unknown command 'vm strat'; did you mean 'vm start'?\n"
		                   "there is: vm start | stop\n" },
		{ "vm zzzzz", "error: unknown command 'vm zzzzz'\nthere is: vm start | stop\n" },
		{ "vm 'x", "error: a quote (') is not closed\n" },
		{ "vm \\", "error: a backslash ends the line\n" },
		{ "''", "error: unknown command ''; 'help' lists all\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		assert_int_equal(run(t[i].line), -RAY_EINVAL);
		assert_string_equal(out_text, t[i].says);
		assert_string_equal(called, "");
	}
	assert_int_equal(run("many 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 "
	                     "27 28 29 30 31 32 33"), -RAY_E2BIG);
	assert_string_equal(out_text, "error: more than 32 words\n");
	assert_int_equal(run("many 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 "
	                     "27 28 29 30 31 32"), 0);
	assert_int_equal(run("log --all --all --all --all --all --all --all --all --all --all --all "
	                     "--all --all --all --all --all --all --all --all --all --all --all "
	                     "--all --all --all --all --all --all --all --all --all"), 0);
}

static void test_help_text(void **state)
{
	(void)state;
	assert_int_equal(run("vm start --help"), 0);
	assert_string_equal(out_text, "vm start - start it\n\nusage:   vm start NAME [COUNT]\n"
	                    "example: vm start demo\n\nIt starts.\n");
}

static void test_confirm(void **state)
{
	(void)state;
	assert_int_equal(run("panic --yes"), 0);
	assert_string_equal(called, "panic");
	input = "y\r";
	assert_int_equal(run("panic"), 0);
	assert_string_equal(out_text, "panic: are you sure? [y/N] y\n");
	input = "nox\x7f\x7f\x7f\x08Yes\n";
	assert_int_equal(run("panic"), 0);
	static const char *const no[] = { "\r", "n\r", "yess\r", "y\x03", "y", "yyyyyyyyyyyyyyy\r",
		"\x1b[A\xff\r" };
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		input = no[i];
		assert_int_equal(run("panic"), -RAY_ECANCELED);
		assert_string_equal(called, "");
		assert_non_null(strstr(out_text, "\nnot done\n"));
	}
	input = NULL;
}

static void test_interrupt(void **state)
{
	(void)state;
	polls = 0;
	assert_int_equal(run("vmstat"), -RAY_ECANCELED);
	assert_int_equal(polls, 4);
	assert_string_equal(out_text, "3 1error: vmstat: cancelled\n");
}

static void test_table(void **state)
{
	static const char *const order[] = { "log", "many", "panic", "rows", "vm start",
		"vm stop", "vmstat" };
	const struct shell_cmd *c = NULL;

	(void)state;
	assert_int_equal(command_count(), ARRAY_SIZE(order));
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		c = command_next(c);
		assert_string_equal(c->name, order[i]);
	}
	assert_null(command_next(c));
	assert_false(command_in_group(c, "vm"));
}

static struct history history;
static struct editor ed;

/* Types, presses Tab @tabs times; gives the line. */
static const char *tab(const char *typed, int tabs)
{
	buf_sink_init(&out, out_text, sizeof(out_text));
	editor_init(&ed, &out.sink, &history, complete_line);
	editor_start(&ed, "> ");
	for (; *typed; typed++)
		editor_feed(&ed, (uint8_t)*typed);
	while (tabs-- > 0)
		editor_feed(&ed, '\t');
	return ed.line;
}

static void test_completion(void **state)
{
	(void)state;
	assert_string_equal(tab("l", 1), "log ");
	assert_string_equal(tab("v", 1), "vm");
	assert_string_equal(tab("vm", 1), "vm");
	assert_string_equal(tab("vm", 2), "vm");
	assert_string_equal(out_text, "> vm\a\nvm      vmstat\n> vm");
	assert_string_equal(tab("vm s", 1), "vm st");
	assert_string_equal(tab("vm sta", 1), "vm start ");
	assert_string_equal(tab("vm start d", 1), "vm start demo");
	assert_string_equal(tab("vm start demol", 1), "vm start demolition ");
	assert_string_equal(tab("vm start demo s", 1), "vm start demo second ");
	assert_string_equal(tab("vm start demo x ", 1), "vm start demo x ");
	assert_string_equal(tab("vm start ", 2), "vm start ");
	assert_string_equal(out_text, "> vm start \a\ndemo        demolition  other\n> vm start ");
	assert_string_equal(tab("log --l", 1), "log --level=");
	assert_string_equal(tab("log --", 1), "log --");
	assert_string_equal(tab("log --j", 1), "log --json ");
	assert_string_equal(tab("panic --y", 1), "panic --yes ");
	assert_string_equal(tab("vm start --h", 1), "vm start --help ");
	assert_string_equal(tab("zzz", 1), "zzz");
	assert_string_equal(tab("zzz a", 1), "zzz a");
	assert_string_equal(tab("", 2), "");
	assert_string_equal(out_text, "> \a\nlog     many    panic   rows    vm      vmstat\n> ");
	/* more than is kept: the rest is announced, and what is certain is not overstated */
	assert_string_equal(tab("many ", 1), "many ");
	assert_string_equal(tab("many sa", 1), "many same");
	assert_string_equal(tab("many same0", 2), "many same0");
	assert_non_null(strstr(out_text, "\nsame000  same001  "));
	assert_non_null(strstr(tab("many same", 3) ? out_text : "", "\n...\n> many same"));
	assert_string_equal(tab("many zz", 1), "many zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz ");
	/* in the middle of a line: no second space */
	assert_string_equal(tab("l --all\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D", 1), "log --all");
	assert_string_equal(tab("vm start 'de", 1), "vm start 'demo");
	assert_string_equal(tab("a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a", 1),
	                    "a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a");
}

static void test_json_in_one_piece(void **state)
{
	(void)state;
	run("rows --json");
	assert_string_equal(out_text, "<[1]\n>");
	run("rows --json open");
	assert_string_equal(out_text, "<[1]>");
	run("rows");
	assert_string_equal(out_text, "[1]\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),   cmocka_unit_test(test_dispatch),
		cmocka_unit_test(test_usage_errors), cmocka_unit_test(test_help_text),
		cmocka_unit_test(test_json_in_one_piece),
		cmocka_unit_test(test_confirm), cmocka_unit_test(test_interrupt),
		cmocka_unit_test(test_table),   cmocka_unit_test(test_completion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
