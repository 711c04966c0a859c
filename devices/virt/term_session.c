/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/term_session.h"

#include <stdarg.h>

#include "kernel/lib/fmt.h"
#define LOG_TAG "console"
#include "kernel/log.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define KEY_LEAVE   0x1d /* Ctrl-] */
#define POLL_NS     10000000ull
#define CHUNK       512u
/* Copied before the keys are looked at: a guest that never stops writing must not keep them
 * from being read. */
#define BURST       KIB(64)

void session_begin(struct term_session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ray_vsnprintf(s->label, sizeof(s->label), fmt, ap);
	va_end(ap);
	s->begun_ns = time_now();
	s->in = s->out = 0;
	log_info("session begins %s by=%s", s->label, thread_name(thread_current()));
}

void session_finish(const struct term_session *s, const char *why)
{
	log_info("session ends %s by=%s why=%s ms=%llu bytes_in=%llu bytes_out=%llu", s->label,
		 thread_name(thread_current()), why,
		 (unsigned long long)((time_now() - s->begun_ns) / 1000000u),
		 (unsigned long long)s->in, (unsigned long long)s->out);
}

/* False: the other end is over. */
static bool output_copy(struct term_session *s, struct cmd_ctx *ctx, struct session_end *e)
{
	char buf[CHUNK];
	int n = 1;

	for (size_t done = 0; done < BURST && n > 0; done += (size_t)n) {
		n = e->read(e, buf, sizeof(buf));
		if (n < 0)
			return false;
		cmd_write(ctx, buf, (size_t)n);
		s->out += (uint64_t)n;
	}
	return true;
}

bool session_run(struct term_session *s, struct cmd_ctx *ctx, struct session_end *e)
{
	while (output_copy(s, ctx, e)) {
		int c = cmd_read_byte(ctx, POLL_NS);

		while (c >= 0 && c != KEY_LEAVE) {
			char typed = (char)c;

			s->in += e->write(e, &typed, 1); /* full: as on a real line, it is lost */
			c = cmd_read_byte(ctx, 0);
		}
		if (c != -RAY_ETIMEDOUT)
			return true;
	}
	return false;
}
