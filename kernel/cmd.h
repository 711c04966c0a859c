/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a subsystem offers a shell command, standing beside what the command drives.
 * Owns: the descriptor, its registration, and what a running command may do with its
 * terminal. Must not know: the shell (it finds the descriptors through the linker section).
 *
 *	static int vm_start_run(struct cmd_ctx *ctx, int argc, char **argv);
 *
 *	SHELL_CMD(vm_start, "vm start", "start a virtual machine",
 *		  .args = "NAME", .min_args = 1, .max_args = 1,
 *		  .options = "--wait --timeout=",
 *		  .example = "vm start demo --timeout=30",
 *		  .complete = vm_complete_names, .run = vm_start_run);
 *
 * A command of two words is one descriptor; words with the same first word form a group.
 * Registration order means nothing; names are unique (a self-test looks).
 */
#ifndef RAYOS_KERNEL_CMD_H
#define RAYOS_KERNEL_CMD_H

#include "kernel/lib/err.h"
#include "kernel/lib/sink.h"
#include "kernel/lib/types.h"

struct cmd_ctx;
struct cmd_complete;

#define CMD_JSON    BIT(0) /* takes --json: the command asks cmd_json() and prints JSON */
#define CMD_CONFIRM BIT(1) /* asks before it runs, unless given --yes */

struct shell_cmd {
	const char *name;    /* "vm start": one or two lower-case words, one space */
	const char *summary; /* one line, no full stop */
	const char *args;    /* positional arguments for the usage line, "NAME [COUNT]"; or NULL */
	const char *options; /* "--all --level=": those ending in = take a value; or NULL */
	const char *help;    /* further lines for `help NAME`; or NULL */
	const char *example; /* a line that works when typed */
	uint8_t min_args, max_args; /* positional arguments, without the command's own words */
	uint8_t flags;              /* CMD_* */
	/**
	 * Run. @argv holds the positional arguments only, @argc of them, checked against
	 * min_args and max_args; options are read with cmd_option().
	 * Context: thread. Returns: 0; -RAY_E* (the shell prints its text unless cmd_fail()
	 *          has said it better); 1 = ran, and the answer is "no" (nothing is printed).
	 * Trust:   arguments are valid UTF-8 without control bytes, otherwise the operator's
	 */
	int (*run)(struct cmd_ctx *ctx, int argc, char **argv);
	/** Offer words for positional argument @arg (0-based) with cmd_complete_add(); or NULL. */
	void (*complete)(struct cmd_complete *c, int arg);
};

#define SHELL_CMD(ident, cmd_name, cmd_summary, ...)                                            \
	static const struct shell_cmd shell_cmd_##ident = { .name = (cmd_name),                 \
							    .summary = (cmd_summary),           \
							    __VA_ARGS__ };                      \
	static const struct shell_cmd *const shell_cmd_ptr_##ident                              \
		__attribute__((used, section("rayos_cmds"))) = &shell_cmd_##ident

/* Where a command runs: the terminal behind it. */
struct cmd_io {
	void (*write)(struct cmd_io *io, const char *s, size_t len);
	/** Next input byte, 0..255; -RAY_ETIMEDOUT; -RAY_ENODEV when there is no input at all. */
	int (*read)(struct cmd_io *io, uint64_t timeout_ns);
	/** Has Ctrl-C been typed? Never waits, keeps other input for later. */
	bool (*interrupted)(struct cmd_io *io);
	/** Keep others' lines out of what is written, and no more. NULL: there are none. */
	void (*hold)(struct cmd_io *io, bool on);
};

#define CMD_WORDS_MAX 32

struct cmd_ctx {
	struct sink out; /* the same terminal, for tables and JSON */
	struct cmd_io *io;
	const struct shell_cmd *cmd;
	bool json;
	bool failed_said;    /* cmd_fail() has printed the reason */
	bool interrupted;    /* sticky */
	bool holding;        /* a line of JSON has begun */
	int option_count;
	char *options[CMD_WORDS_MAX]; /* as typed: "--name" or "--name=value" */
};

/** Print; "\n" is a line end. Context: the command's thread. */
void cmd_printf(struct cmd_ctx *ctx, const char *fmt, ...) __printf_fmt(2, 3);
/** Write bytes as they are, as `vm console` does. */
void cmd_write(struct cmd_ctx *ctx, const void *data, size_t len);

/** The output as a sink, for kernel/lib/table.h and json.h. */
static inline struct sink *cmd_sink(struct cmd_ctx *ctx)
{
	return &ctx->out;
}

/** Was --json given? Only for commands with CMD_JSON. */
static inline bool cmd_json(const struct cmd_ctx *ctx)
{
	return ctx->json;
}

/**
 * Value of an option: NULL when not given, "" for one without a value.
 * @name  with its dashes, without "=": "--level"
 */
const char *cmd_option(const struct cmd_ctx *ctx, const char *name);

/** Print "error: ..." and remember that it was said. Returns @err, to be returned by run. */
int cmd_fail(struct cmd_ctx *ctx, int err, const char *fmt, ...) __printf_fmt(3, 4);

/** Has the operator typed Ctrl-C? Long-running commands ask and return -RAY_ECANCELED. */
bool cmd_interrupted(struct cmd_ctx *ctx);

/** Ask a yes/no question; anything but y or yes, Ctrl-C or no terminal is no. */
bool cmd_confirm(struct cmd_ctx *ctx, const char *fmt, ...) __printf_fmt(2, 3);

/**
 * Raw input, every byte as it comes, Ctrl-C included.
 * @timeout_ns  0 = do not wait; UINT64_MAX = for ever
 * Returns: 0..255, -RAY_ETIMEDOUT, -RAY_ENODEV (no terminal)
 */
int cmd_read_byte(struct cmd_ctx *ctx, uint64_t timeout_ns);

/* Collects what a word could become. */
struct cmd_complete {
	const char *prefix; /* typed so far, may be "" */
	size_t prefix_len;
	int argc;    /* the positional arguments before it */
	char **argv;
	void (*add)(struct cmd_complete *c, const char *word);
};

/** Offer @word, copied; ignored when it does not begin with what was typed. */
void cmd_complete_add(struct cmd_complete *c, const char *word);

#endif
