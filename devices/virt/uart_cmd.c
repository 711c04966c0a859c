/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `vm console` and `vm log`: the guest's serial port on the operator's terminal.
 */
#include "devices/virt/uart.h"
#include "hv/vm_cmd.h"
#include "kernel/cmd.h"
#include "kernel/lib/err.h"
#define LOG_TAG "console"
#include "kernel/log.h"

#define KEY_LEAVE   0x1d /* Ctrl-] */
#define POLL_NS     10000000ull
#define CHUNK       512u

/* The VM's port, or NULL and an explanation. */
static struct vuart *port_get(struct cmd_ctx *ctx, struct vm *vm)
{
	struct vuart *u;

	mutex_lock(&vm->lock);
	u = vuart_get(vm);
	mutex_unlock(&vm->lock);
	if (u == NULL)
		cmd_fail(ctx, -RAY_EINVAL, "'%s' is %s; `vm start %s` first", vm->def.name,
			 vm_state_name(vm->state), vm->def.name);
	return u;
}

/* Copy what is there by now and new since *pos; a guest that never stops writing must not keep
 * the operator's keys from being read. */
static void output_copy(struct cmd_ctx *ctx, const struct vuart *u, uint64_t *pos)
{
	uint64_t end = vuart_position(u);
	char buf[CHUNK];

	while (*pos < end) {
		size_t n = vuart_read(u, pos, buf, sizeof(buf));

		cmd_write(ctx, buf, n);
	}
}

/* True: the operator left; false: the VM has ended, or begins anew with another port. */
static bool attach(struct cmd_ctx *ctx, struct vuart *u, uint64_t pos)
{
	for (;;) {
		/* Asked before the copy: what was written until then is shown. */
		bool gone = vuart_gone(u);
		int c;

		output_copy(ctx, u, &pos);
		if (gone)
			return false;
		c = cmd_read_byte(ctx, POLL_NS);
		while (c >= 0 && c != KEY_LEAVE) {
			char typed = (char)c;

			(void)vuart_write(u, &typed, 1); /* full: as on a real line, it is lost */
			c = cmd_read_byte(ctx, 0);
		}
		if (c != -RAY_ETIMEDOUT)
			return true;
	}
}

static int vm_console_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm *vm = vm_cmd_get(ctx, argv[0]);
	struct vuart *u;
	uint64_t pos;

	(void)argc;
	if (vm == NULL)
		return -RAY_ENOENT;
	u = port_get(ctx, vm);
	if (u == NULL) {
		vm_put(vm);
		return -RAY_EINVAL;
	}
	log_info("attached name=%s", vm->def.name);
	cmd_printf(ctx, "Console of '%s'. Ctrl-] leaves.\n", vm->def.name);
	pos = cmd_option(ctx, "--from-start") != NULL ? vuart_oldest(u) : vuart_position(u);
	while (u != NULL && !attach(ctx, u, pos)) {
		vuart_put(u);
		/* After a reset the VM has a new port; its lock is held until that is there. */
		mutex_lock(&vm->lock);
		u = vuart_get(vm);
		mutex_unlock(&vm->lock);
		pos = 0;
	}
	if (u != NULL)
		vuart_put(u);
	cmd_printf(ctx, "\nConsole of '%s' closed (%s).\n", vm->def.name, vm_state_name(vm->state));
	log_info("detached name=%s", vm->def.name);
	vm_put(vm);
	return 0;
}
SHELL_CMD(vm_console, "vm console", "use a virtual machine's serial console", .args = "NAME",
	  .min_args = 1, .max_args = 1, .options = "--from-start",
	  .help = "Ctrl-] leaves. --from-start shows first what the guest has written so far.",
	  .example = "vm console demo", .complete = vm_cmd_complete, .run = vm_console_run);

static int vm_log_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm *vm = vm_cmd_get(ctx, argv[0]);
	struct vuart *u;
	uint64_t pos = 0;

	(void)argc;
	if (vm == NULL)
		return -RAY_ENOENT;
	u = port_get(ctx, vm);
	if (u != NULL) {
		output_copy(ctx, u, &pos);
		cmd_printf(ctx, "\n");
		vuart_put(u);
	}
	vm_put(vm);
	return u != NULL ? 0 : -RAY_EINVAL;
}
SHELL_CMD(vm_log, "vm log", "show what a virtual machine wrote to its serial port",
	  .args = "NAME", .min_args = 1, .max_args = 1, .example = "vm log demo",
	  .complete = vm_cmd_complete, .run = vm_log_run);
