// SPDX-License-Identifier: Apache-2.0
/*
 * Owns: the console session. Must not know: any command. All state belongs to the shell's
 * thread; commands run in it.
 */
#include "shell/session.h"

#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/start.h"
#include "kernel/cmd.h"
#include "kernel/console.h"
#include "kernel/lib/fmt.h"
#include "kernel/marker.h"
#include "kernel/sched/thread.h"
#include "shell/command.h"
#include "shell/complete.h"
#include "shell/editor.h"

#define TYPE_AHEAD  1024u
#define STACK_BYTES 65536u
#define REDRAW_MAX  512u
#define KEY_CTRL_C  0x03

struct session {
	struct cmd_io io;
	struct sink out;
	struct editor editor;
	struct history history;
	/* Bytes read while a command ran, in search of a Ctrl-C. */
	uint8_t ahead[TYPE_AHEAD];
	size_t ahead_head, ahead_tail;
	int last_status;
};

static struct session session;

int session_last_status(void)
{
	return session.last_status;
}

const struct history *session_history(void)
{
	return &session.history;
}

static void out_put(struct sink *self, const char *data, size_t len)
{
	(void)self;
	console_write(data, len);
}

static void io_write(struct cmd_io *io, const char *s, size_t len)
{
	(void)io;
	console_write(s, len);
}

static void io_hold(struct cmd_io *io, bool on)
{
	(void)io;
	if (on)
		console_hold();
	else
		console_release();
}

static int io_read(struct cmd_io *io, uint64_t timeout_ns)
{
	struct session *s = container_of(io, struct session, io);

	if (s->ahead_tail < s->ahead_head)
		return s->ahead[s->ahead_tail++];
	return console_getc(timeout_ns);
}

static bool io_interrupted(struct cmd_io *io)
{
	struct session *s = container_of(io, struct session, io);

	if (s->ahead_tail == s->ahead_head) {
		s->ahead_tail = 0;
		s->ahead_head = 0;
	}
	/* Full: the rest waits in the console's own ring, and so does a Ctrl-C behind it. */
	while (s->ahead_head < sizeof(s->ahead)) {
		int c = console_getc(0);

		if (c < 0)
			return false;
		if (c == KEY_CTRL_C) {
			/* As a terminal driver does: what was typed before it is void. */
			s->ahead_tail = 0;
			s->ahead_head = 0;
			return true;
		}
		s->ahead[s->ahead_head++] = (uint8_t)c;
	}
	return false;
}

/* Lines that others print while one is typed are followed by it. */
static void show_again(struct session *s)
{
	char text[REDRAW_MAX];
	size_t n = editor_redraw_text(&s->editor, text, sizeof(text));

	console_prompt_set(text, n);
}

/* The constant part stands last, so that a script can wait for it. */
static void prompt(struct session *s)
{
	char text[32] = SESSION_PROMPT;

	if (s->last_status != 0)
		ray_snprintf(text, sizeof(text), "[%d] " SESSION_PROMPT,
			     s->last_status < 0 ? -s->last_status : s->last_status);
	/* Known before it stands there: a line that comes in between is followed by it too. */
	console_prompt_set(text, strlen(text));
	editor_start(&s->editor, text);
	show_again(s);
}

static void run_line(struct session *s)
{
	char line[EDITOR_LINE_MAX];

	strlcpy(line, s->editor.line, sizeof(line));
	if (line[strspn(line, " \t")] == '\0')
		return; /* an empty line keeps the status */
	history_add(&s->history, line);
	s->last_status = command_run_line(&s->io, line);
}

static void feed(struct session *s, uint8_t byte)
{
	enum editor_result result = editor_feed(&s->editor, byte);

	if (result == EDITOR_MORE) {
		show_again(s);
		return;
	}
	console_prompt_set(NULL, 0);
	switch (result) {
	case EDITOR_MORE:
		break;
	case EDITOR_LINE:
		run_line(s);
		break;
	case EDITOR_TOO_LONG:
		sink_printf(&s->out, "error: the line is longer than %u bytes; it was ignored\n",
			    EDITOR_LINE_MAX - 1);
		s->last_status = -RAY_E2BIG;
		break;
	case EDITOR_CANCELED:
		s->last_status = -RAY_ECANCELED;
		break;
	}
	prompt(s);
}

static void session_main(void *arg)
{
	struct session *s = arg;

	sink_puts(&s->out, "\nRayOS: type 'help' for the commands, Tab to complete.\n");
	marker_print(MARKER_BOOT_SHELL_READY, "tsc_ticks=%lu", rdtsc() - kernel_entry_tsc);
	prompt(s);
	for (;;) {
		int c = io_read(&s->io, UINT64_MAX);

		if (c >= 0)
			feed(s, (uint8_t)c);
	}
}

int shell_start(void)
{
	static const struct thread_attr attr = { .cls = THREAD_CLASS_WORKER, .cpu = -1,
						 .stack = STACK_BYTES };
	struct session *s = &session;
	struct thread *t;
	int err;

	s->io = (struct cmd_io){ .write = io_write, .read = io_read,
				 .interrupted = io_interrupted, .hold = io_hold };
	s->out = (struct sink){ out_put };
	history_init(&s->history);
	editor_init(&s->editor, &s->out, &s->history, complete_line);
	err = thread_create(&t, "shell", session_main, s, &attr);
	if (err == 0)
		thread_detach(t);
	return err;
}
