/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `panic`: stop the machine on purpose, to see that it ends as configured. Context: the
 * shell's thread.
 */
#include <string.h>

#include "kernel/cmd.h"
#include "kernel/panic.h"

#define OVERFLOW_FRAME 512u

/* Called through a pointer the compiler cannot follow, which would refuse what is done here. */
static unsigned int recurse(unsigned int depth);
static unsigned int (*volatile recurse_again)(unsigned int depth) = recurse;

static unsigned int recurse(unsigned int depth)
{
	volatile uint8_t frame[OVERFLOW_FRAME];

	frame[depth % OVERFLOW_FRAME] = (uint8_t)depth;
	/* The addition after the call keeps it from becoming a jump. */
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): it never returns */
	return recurse_again(depth + 1) + frame[(depth + 1) % OVERFLOW_FRAME];
}

static __attribute__((noinline)) char overrun(volatile size_t len)
{
	volatile char array[16];

	for (size_t i = 0; i < len; i++)
		array[i] = 'x';
	return array[0];
}

static __attribute__((noinline)) void read_null(void)
{
	volatile uintptr_t address = 16;

	(void)*(volatile uint64_t *)address;
}

static __attribute__((noinline)) void write_text(void)
{
	*(volatile uint8_t *)(uintptr_t)&write_text = 0;
}

static __attribute__((noinline)) void jump_to_data(void)
{
	static uint8_t data[16];

	((void (*)(void))(uintptr_t)data)();
}

static const struct {
	const char *name;
	const char *what;
} ways[] = {
	{ "assert", "a failed assertion" },
	{ "null", "a read through a null pointer" },
	{ "stack", "endless recursion" },
	{ "smash", "an overrun array on the stack" },
	{ "write", "a write to code" },
	{ "exec", "a jump into data" },
};

static void do_panic(const char *way)
{
	if (strcmp(way, "null") == 0)
		read_null();
	else if (strcmp(way, "stack") == 0)
		(void)recurse(0);
	else if (strcmp(way, "smash") == 0)
		(void)overrun(64);
	else if (strcmp(way, "write") == 0)
		write_text();
	else if (strcmp(way, "exec") == 0)
		jump_to_data();
	panic("asked for at the shell");
}

static int panic_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	const char *way = argc ? argv[0] : ways[0].name;

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		if (strcmp(ways[i].name, way) == 0) {
			do_panic(way);
			return 0;
		}
	}
	return cmd_fail(ctx, -RAY_EINVAL, "%s: no such way to panic", way);
}

static void panic_complete(struct cmd_complete *c, int arg)
{
	for (size_t i = 0; arg == 0 && i < ARRAY_SIZE(ways); i++)
		cmd_complete_add(c, ways[i].name);
}

SHELL_CMD(panic, "panic", "stop everything on purpose", .args = "[WAY]", .max_args = 1,
	  .flags = CMD_CONFIRM,
	  .help = "WAY is assert (the default), null, stack, smash, write or exec.",
	  .example = "panic", .complete = panic_complete, .run = panic_run);
