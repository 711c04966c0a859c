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

/*
 * The port lives as long as the VM runs. It is looked at under the VM's lock, a chunk at a
 * time, so that a VM that ends meanwhile takes nothing from under us.
 */
static bool has_port(const struct vm *vm)
{
	return (vm->state == VM_RUNNING || vm->state == VM_PAUSED) && vm->uart != NULL;
}

/* Copy what is new since *pos. False: the VM has ended. */
static bool output_copy(struct cmd_ctx *ctx, struct vm *vm, uint64_t *pos)
{
	char buf[CHUNK];
	size_t n;
	bool up;

	do {
		mutex_lock(&vm->lock);
		up = has_port(vm);
		n = up ? vuart_read(vm, pos, buf, sizeof(buf)) : 0;
		mutex_unlock(&vm->lock);
		cmd_write(ctx, buf, n);
	} while (n == sizeof(buf));
	return up;
}

static void input_give(struct vm *vm, char c)
{
	mutex_lock(&vm->lock);
	if (has_port(vm))
		(void)vuart_write(vm, &c, 1); /* full: as on a real line, the byte is lost */
	mutex_unlock(&vm->lock);
}

static void attach(struct cmd_ctx *ctx, struct vm *vm, uint64_t pos)
{
	while (output_copy(ctx, vm, &pos)) {
		int c = cmd_read_byte(ctx, POLL_NS);

		while (c >= 0 && c != KEY_LEAVE) {
			input_give(vm, (char)c);
			c = cmd_read_byte(ctx, 0);
		}
		if (c == KEY_LEAVE)
			return;
		if (c != -RAY_ETIMEDOUT)
			return;
	}
}

static int vm_console_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm *vm = vm_cmd_get(ctx, argv[0]);
	uint64_t pos = 0;
	bool up;

	(void)argc;
	if (vm == NULL)
		return -RAY_ENOENT;
	mutex_lock(&vm->lock);
	up = has_port(vm);
	if (up)
		pos = cmd_option(ctx, "--from-start") != NULL ? vuart_oldest(vm) : vuart_position(vm);
	mutex_unlock(&vm->lock);
	if (!up) {
		cmd_fail(ctx, -RAY_EINVAL, "'%s' is %s; `vm start %s` first", vm->def.name,
			 vm_state_name(vm->state), vm->def.name);
		vm_put(vm);
		return -RAY_EINVAL;
	}
	log_info("attached name=%s", vm->def.name);
	cmd_printf(ctx, "Console of '%s'. Ctrl-] leaves.\n", vm->def.name);
	attach(ctx, vm, pos);
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
	uint64_t pos = 0;

	(void)argc;
	if (vm == NULL)
		return -RAY_ENOENT;
	if (!output_copy(ctx, vm, &pos)) {
		cmd_fail(ctx, -RAY_EINVAL, "'%s' is %s and has no output", vm->def.name,
			 vm_state_name(vm->state));
		vm_put(vm);
		return -RAY_EINVAL;
	}
	cmd_printf(ctx, "\n");
	vm_put(vm);
	return 0;
}
SHELL_CMD(vm_log, "vm log", "show what a virtual machine wrote to its serial port",
	  .args = "NAME", .min_args = 1, .max_args = 1, .example = "vm log demo",
	  .complete = vm_cmd_complete, .run = vm_log_run);
