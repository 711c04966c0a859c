/* SPDX-License-Identifier: Apache-2.0 */
/* `vm connect`: a stream to a port that something in a guest listens on, on the operator's
 * terminal. */
#include "devices/virt/term_session.h"
#include "devices/virt/vsock_host.h"
#include "hv/vm_cmd.h"
#include "kernel/cmd.h"
#include "kernel/lib/err.h"
#include "kernel/lib/parse.h"
#include "kernel/time/time.h"

#define ANSWER_NS 5000000000ull

struct stream_end {
	struct session_end end;
	struct vstream *stream;
};

static int stream_end_read(struct session_end *e, char *buf, size_t len)
{
	return vstream_read(container_of(e, struct stream_end, end)->stream, buf, len);
}

static size_t stream_end_write(struct session_end *e, const char *buf, size_t len)
{
	return vstream_write(container_of(e, struct stream_end, end)->stream, buf, len);
}

/* The stream, not yet answered; NULL: said why. */
static struct vstream *stream_open(struct cmd_ctx *ctx, struct vm *vm, uint32_t port)
{
	const char *name = vm->def.name;
	struct vstream *s = NULL;
	enum vm_state state;
	int err;

	mutex_lock(&vm->lock);
	state = vm->state;
	err = vstream_connect(vm, port, &s);
	mutex_unlock(&vm->lock);
	if (err == -RAY_ENODEV && state == VM_PAUSED)
		cmd_fail(ctx, err, "'%s' is paused; `vm resume %s` first", name, name);
	else if (err == -RAY_ENODEV && state != VM_RUNNING)
		cmd_fail(ctx, err, "'%s' is %s; `vm start %s` first", name, vm_state_name(state),
			 name);
	else if (err == -RAY_ENODEV)
		cmd_fail(ctx, err, "'%s' has no vsock device; define it with one, or "
			 "`vm attach %s vsock`", name, name);
	else if (err != 0)
		cmd_fail(ctx, err, "'%s' port %u: %s", name, port, ray_strerror(err));
	return s;
}

static int converse(struct cmd_ctx *ctx, struct vm *vm, struct vstream *s, uint32_t port)
{
	struct stream_end e = {.end = {.read = stream_end_read, .write = stream_end_write},
			       .stream = s};
	int err = vstream_opened(s, time_now() + ANSWER_NS);
	struct term_session session;
	bool left;

	if (err == -RAY_ENOENT)
		return cmd_fail(ctx, err, "nothing in '%s' listens on vsock port %u", vm->def.name,
				port);
	if (err != 0)
		return cmd_fail(ctx, err, "'%s' does not answer; has its vsock driver begun?",
				vm->def.name);
	cmd_printf(ctx, "Connected to '%s' port %u. Ctrl-] leaves.\n", vm->def.name, port);
	session_begin(&session, "vm=%s vsock_port=%u", vm->def.name, port);
	left = session_run(&session, ctx, &e.end);
	session_finish(&session, left ? "left" : "ended");
	cmd_printf(ctx, "\nConnection to '%s' port %u closed%s.\n", vm->def.name, port,
		   left ? "" : " by the guest");
	return 0;
}

static int vm_connect_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm *vm = vm_cmd_get(ctx, argv[0]);
	struct vstream *s = NULL;
	uint64_t port;
	int err;

	(void)argc;
	if (vm == NULL)
		return -RAY_ENOENT;
	err = parse_u64_range(argv[1], 0, UINT32_MAX - 1, &port);
	if (err != 0)
		cmd_fail(ctx, err, "PORT: '%s' is no number from 0 to %u", argv[1], UINT32_MAX - 1);
	else
		s = stream_open(ctx, vm, (uint32_t)port);
	if (s != NULL) {
		err = converse(ctx, vm, s, (uint32_t)port);
		vstream_close(s);
		vstream_put(s);
	} else if (err == 0) {
		err = -RAY_ENODEV;
	}
	vm_put(vm);
	return err;
}
SHELL_CMD(vm_connect, "vm connect", "open a vsock stream to a port in a virtual machine",
	  .args = "VM PORT", .min_args = 2, .max_args = 2,
	  .help = "Something in the guest must listen there, for example\n"
		  "`socat VSOCK-LISTEN:5000 EXEC:sh`. Ctrl-] leaves.",
	  .example = "vm connect demo 5000", .complete = vm_cmd_complete, .run = vm_connect_run);
