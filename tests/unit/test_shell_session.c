/* UNIT: shell/session.c shell/builtin_cmd.c shell/command.c shell/words.c shell/complete.c
 *       shell/editor.c shell/editor_view.c shell/keys.c shell/history.c kernel/cmd.c
 *       kernel/selftest.c kernel/lib/nearest.c kernel/lib/utf8.c kernel/lib/fmt.c
 *       kernel/lib/sink.c kernel/lib/err.c kernel/lib/json.c kernel/lib/table.c
 *       kernel/lib/parse.c */
// SPDX-License-Identifier: Apache-2.0
/* The console session end to end: typed bytes in, the terminal's text out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/cmd.h"
#include "kernel/console.h"
#include "kernel/marker.h"
#include "kernel/arch/start.h"
#include "kernel/sched/thread.h"
#include "kernel/selftest.h"
#include "kernel/smbios/smbios.h"
#include "shell/session.h"

static const struct smbios_info machine = {
	.major = 3, .vendor = "Maker", .product = "Box", .bios_vendor = "EDK"};

const struct smbios_info *smbios_info(void)
{
	return &machine;
}

uint64_t kernel_entry_tsc;

static char screen[32768];
static size_t screen_len;
static const char *typed;
static size_t typed_len;
static jmp_buf idle; /* where the session goes when nothing more is typed */
static void (*session_fn)(void *arg);
static void *session_arg;
static int create_result;
static bool fail_selftest;

void console_write(const char *s, size_t len)
{
	assert_true(screen_len + len < sizeof(screen));
	memcpy(screen + screen_len, s, len);
	screen_len += len;
	screen[screen_len] = '\0';
}

void console_hold(void)
{
}

void console_release(void)
{
}

static char prompt[512];

void console_prompt_set(const char *text, size_t len)
{
	snprintf(prompt, sizeof(prompt), "%.*s", (int)len, text ? text : "");
}

int console_getc(uint64_t timeout_ns)
{
	if (typed_len > 0) {
		typed_len--;
		return (uint8_t)*typed++;
	}
	if (timeout_ns != UINT64_MAX)
		return -RAY_ETIMEDOUT;
	longjmp(idle, 1);
}

int thread_create(struct thread **out, const char *name, void (*fn)(void *arg), void *arg,
		  const struct thread_attr *attr)
{
	(void)name;
	assert_true(attr->stack >= 32768);
	*out = NULL;
	session_fn = fn;
	session_arg = arg;
	return create_result;
}

void thread_detach(struct thread *t)
{
	(void)t;
}

void marker_print(enum marker m, const char *fmt, ...)
{
	char line[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (m == MARKER_BOOT_SHELL_READY)
		assert_int_equal(strncmp(line, "tsc_ticks=", 10), 0);
	screen_len += (size_t)snprintf(screen + screen_len, sizeof(screen) - screen_len,
	                               "<marker %s %s>\n",
	                               m == MARKER_BOOT_SHELL_READY ? "ready" : "selftest",
	                               m == MARKER_BOOT_SHELL_READY ? "" : line);
}

/* Runs until Ctrl-C, counting polls; then asks for one raw byte. */
static int poll_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	int c;

	assert_string_equal(prompt, ""); /* no line is being typed */

	(void)argc;
	(void)argv;
	if (cmd_interrupted(ctx))
		return -RAY_ECANCELED;
	c = cmd_read_byte(ctx, 0);
	cmd_printf(ctx, "read %d\n", c);
	return 0;
}
SHELL_CMD(poll, "poll", "poll", .example = "poll", .run = poll_run);

static int group_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	(void)ctx;
	(void)argc;
	(void)argv;
	return 1;
}
SHELL_CMD(ga, "vm a-command-with-a-long-name", "does a", .args = "FIRST SECOND THIRD FOURTH",
          .max_args = 4, .example = "vm a x", .run = group_run, .flags = CMD_CONFIRM);
SHELL_CMD(gb, "vm b", "does b", .example = "vm b y", .run = group_run);

static void good_test(struct selftest *t)
{
	SELFTEST_CHECK(t, true);
}
SELFTEST(good, good_test);

static void bad_test(struct selftest *t)
{
	SELFTEST_CHECK(t, !fail_selftest);
}
SELFTEST(maybe_bad, bad_test);

/* A session that gets these bytes; gives all it printed. */
static const char *session_n(const char *bytes, size_t len)
{
	screen_len = 0;
	screen[0] = '\0';
	typed = bytes;
	typed_len = len;
	assert_int_equal(shell_start(), 0);
	if (setjmp(idle) == 0)
		session_fn(session_arg);
	return screen;
}

static const char *session(const char *bytes)
{
	return session_n(bytes, strlen(bytes));
}

static void test_start(void **state)
{
	(void)state;
	assert_string_equal(session(""), "\nRayOS: type 'help' for the commands, Tab to complete.\n"
	                    "<marker ready >\nrayos> ");
	create_result = -RAY_ENOMEM;
	assert_int_equal(shell_start(), -RAY_ENOMEM);
	create_result = 0;
}

/* What stands behind the first prompt. */
static const char *answer(const char *bytes)
{
	return strstr(session(bytes), "rayos> ") + 7;
}

static void test_status_in_prompt(void **state)
{
	(void)state;
	assert_string_equal(answer("bogus\r"), "bogus\nerror: unknown command 'bogus'; 'help' lists "
	                    "all\n[22] rayos> ");
	assert_string_equal(answer("bogus\r\r"), "bogus\nerror: unknown command 'bogus'; 'help' lists "
	                    "all\n[22] rayos> \n[22] rayos> ");
	assert_non_null(strstr(answer("bogus\rstatus\r"),
	                       "status:               22\n"
	                       "meaning:              invalid argument\nrayos> "));
	assert_non_null(strstr(answer("vm b\rstatus --json\r"),
	                       "[1] rayos> status --json\n"
	                       "{\"status\":1,\"meaning\":\"the answer was no\"}\nrayos> "));
	assert_string_equal(answer("abc\x03"), "abc^C\n[125] rayos> ");
}

static void test_prompt_is_known_to_the_console(void **state)
{
	(void)state;
	session("clear\r");
	assert_string_equal(prompt, "rayos> ");
	session("abc\x1b[D");
	assert_string_equal(prompt, "rayos> abc\r\x1b[9C");
	session("bogus\rxy");
	assert_string_equal(prompt, "[22] rayos> xy");
	session("abc\x03");
	assert_string_equal(prompt, "[125] rayos> ");
}

static void test_too_long(void **state)
{
	char *line = malloc(10000);

	(void)state;
	memset(line, 'x', 10000);
	line[9999] = '\r';
	assert_non_null(strstr(session_n(line, 10000),
	                       "\nerror: the line is longer than 4095 bytes; it was ignored\n"
	                       "[7] rayos> "));
	free(line);
}

static void test_type_ahead(void **state)
{
	(void)state;
	/* typed while the command runs: kept, read raw by it, or run afterwards */
	assert_non_null(strstr(answer("poll\rZversion --json\r"),
	                       "poll\nread 90\nrayos> version --json\n{\"version\":\""));
	assert_non_null(strstr(answer("poll\rZzzz\x03" "clear\r"),
	                       "poll\nerror: poll: cancelled\n[125] rayos> clear\n\x1b[H\x1b[2J"));
	assert_string_equal(answer("poll\r"), "poll\nread -110\nrayos> ");
	char many[3000];
	memset(many, 'q', sizeof(many));
	memcpy(many, "poll\r", 5);
	session_n(many, sizeof(many));
	assert_non_null(strstr(screen, "poll\nread 113\nrayos> qqq"));
	assert_int_equal(strlen(strstr(screen, "> qqq")), 2 + sizeof(many) - 6);
}

static void test_history_command(void **state)
{
	(void)state;
	assert_non_null(strstr(answer("clear\rvm b\r history\rhistory\r"),
	                       "history\n   1  clear\n   2  vm b\n   3  history\nrayos> "));
	assert_non_null(strstr(answer("vm b\r\x1b[A\r"), "vm b\n[1] rayos> "));
}

static void test_help(void **state)
{
	const char *all = answer("help\r");

	(void)state;
	assert_non_null(strstr(all, "General:\n  clear  "));
	assert_non_null(strstr(all, "\n  help [COMMAND]                              list the "));
	assert_non_null(strstr(all, "\nvm:\n  vm a-command-with-a-long-name FIRST SECOND THIRD "
	                            "FOURTH\n"));
	assert_non_null(strstr(all, "does a\n  vm b   "));
	assert_null(strstr(strstr(all, "\nvm:\n") + 1, "\nvm:\n"));
	assert_non_null(strstr(answer("help vm\r"), "does b\n      example: vm b y\n"));
	assert_non_null(strstr(answer("help vm b\r"), "vm b - does b\n\nusage:   vm b\n"
	                                              "example: vm b y\n"));
	assert_non_null(strstr(answer("help status\r"), "usage:   status [--json]\n"));
	assert_non_null(strstr(answer("help nope\r"), "error: no command 'nope'; 'help' lists"));
	assert_non_null(strstr(answer("help vm nope\r"), "error: no command 'vm nope'; "));
	assert_non_null(strstr(answer("help --json\r"),
	                       "{\"name\":\"vm b\",\"summary\":\"does b\",\"args\":null,\"options\":null,"
	                       "\"help\":null,\"example\":\"vm b y\",\"json\":false,\"confirm\":false}]"));
	assert_non_null(strstr(answer("help v\t\t"), "\nversion  vm\n"));
	assert_non_null(strstr(answer("help vm a\t"), "help vm a-command-with-a-long-name "));
	assert_non_null(strstr(answer("version\r"), "compiler:             gcc "));
}

static void test_selftest(void **state)
{
	(void)state;
	fail_selftest = false;
	assert_non_null(strstr(answer("selftest\r"), "good                         ok\n"));
	assert_non_null(strstr(screen, "shell_commands               ok\n"));
	assert_non_null(strstr(screen, "<marker selftest passed=3 failed=0>\n3 passed, 0 failed\n"
	                               "rayos> "));
	fail_selftest = true;
	assert_non_null(strstr(answer("selftest maybe\r"), "  maybe_bad: failed: !fail_selftest at "));
	assert_non_null(strstr(screen, "maybe_bad                    FAILED\n"
	                               "<marker selftest passed=0 failed=1>\n0 passed, 1 failed\n"
	                               "[1] rayos> "));
	assert_non_null(strstr(answer("selftest zzz\r"), "error: no test begins with 'zzz'\n"));
	assert_non_null(strstr(answer("selftest --list\r"), "maybe_bad\n"));
	assert_non_null(strstr(answer("selftest g\t"), "selftest good "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),      cmocka_unit_test(test_status_in_prompt),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_prompt_is_known_to_the_console),   cmocka_unit_test(test_type_ahead),
		cmocka_unit_test(test_history_command), cmocka_unit_test(test_help),
		cmocka_unit_test(test_selftest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
