// SPDX-License-Identifier: Apache-2.0
/*
 * What a running command may do. Owns nothing but the calls; state is in struct cmd_ctx,
 * which belongs to one thread.
 */
#include "kernel/cmd.h"

#include <string.h>

#define KEY_CTRL_C    0x03
#define KEY_BACKSPACE 0x08
#define KEY_DELETE    0x7f

void cmd_printf(struct cmd_ctx *ctx, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	sink_vprintf(&ctx->out, fmt, ap);
	va_end(ap);
}

void cmd_write(struct cmd_ctx *ctx, const void *data, size_t len)
{
	if (len > 0)
		ctx->io->write(ctx->io, data, len);
}

const char *cmd_option(const struct cmd_ctx *ctx, const char *name)
{
	size_t len = strlen(name);

	/* The last one given wins, as everywhere. */
	for (int i = ctx->option_count - 1; i >= 0; i--) {
		const char *o = ctx->options[i];

		if (strncmp(o, name, len) == 0 && (o[len] == '=' || o[len] == '\0'))
			return o[len] == '=' ? o + len + 1 : o + len;
	}
	return NULL;
}

int cmd_fail(struct cmd_ctx *ctx, int err, const char *fmt, ...)
{
	va_list ap;

	sink_puts(&ctx->out, "error: ");
	va_start(ap, fmt);
	sink_vprintf(&ctx->out, fmt, ap);
	va_end(ap);
	sink_puts(&ctx->out, "\n");
	ctx->failed_said = true;
	return err;
}

bool cmd_interrupted(struct cmd_ctx *ctx)
{
	if (!ctx->interrupted && ctx->io->interrupted(ctx->io))
		ctx->interrupted = true;
	return ctx->interrupted;
}

int cmd_read_byte(struct cmd_ctx *ctx, uint64_t timeout_ns)
{
	return ctx->io->read(ctx->io, timeout_ns);
}

/* Reads the answer up to the line end. Only its first letters matter; the rest is eaten. */
static bool read_yes(struct cmd_ctx *ctx)
{
	char answer[8];
	size_t len = 0;

	for (;;) {
		int c = cmd_read_byte(ctx, UINT64_MAX);
		char echo;

		if (c < 0 || c == KEY_CTRL_C) {
			sink_puts(&ctx->out, c < 0 ? "\n" : "^C\n");
			return false;
		}
		if (c == '\r' || c == '\n')
			break;
		if (c == KEY_BACKSPACE || c == KEY_DELETE) {
			if (len > 0) {
				len--;
				sink_puts(&ctx->out, "\b \b");
			}
			continue;
		}
		if (c < 0x20 || c > 0x7e || len == sizeof(answer) - 1)
			continue;
		answer[len++] = echo = (char)c;
		cmd_write(ctx, &echo, 1);
	}
	answer[len] = '\0';
	sink_puts(&ctx->out, "\n");
	return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

bool cmd_confirm(struct cmd_ctx *ctx, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	sink_vprintf(&ctx->out, fmt, ap);
	va_end(ap);
	sink_puts(&ctx->out, " [y/N] ");
	return read_yes(ctx);
}

void cmd_complete_add(struct cmd_complete *c, const char *word)
{
	if (strncmp(word, c->prefix, c->prefix_len) == 0)
		c->add(c, word);
}
