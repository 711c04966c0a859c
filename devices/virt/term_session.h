/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An operator's terminal joined to something in a guest: a serial port, a port of its virtio
 * console, a stream. Every session is told in the log, with who, how long and how much.
 * Owns: the loop between the two. Must not know: what is at the other end.
 */
#ifndef RAYOS_DEVICES_VIRT_TERM_SESSION_H
#define RAYOS_DEVICES_VIRT_TERM_SESSION_H

#include "kernel/cmd.h"
#include "kernel/lib/types.h"

#define SESSION_LABEL_MAX 80u

struct session_end {
	/**
	 * Copy output, which may be any bytes.
	 * Returns: how many; 0: nothing new; -RAY_ENODEV: it is over, all has been shown.
	 * Context: thread; does not wait.
	 */
	int (*read)(struct session_end *e, char *buf, size_t len);
	/** Take what was typed. Returns: how many fitted; the rest is lost. Context: thread. */
	size_t (*write)(struct session_end *e, const char *buf, size_t len);
};

struct term_session {
	char label[SESSION_LABEL_MAX]; /* "vm=demo port=agent", for the log */
	uint64_t begun_ns, in, out;    /* bytes to and from the guest */
};

/** Tell the log that it begins. */
void session_begin(struct term_session *s, const char *fmt, ...) __printf_fmt(2, 3);
/** Until Ctrl-] is typed (true) or the other end is over (false). Context: thread. */
bool session_run(struct term_session *s, struct cmd_ctx *ctx, struct session_end *e);
/** Tell the log that it has ended. @why  one word */
void session_finish(const struct term_session *s, const char *why);

#endif
