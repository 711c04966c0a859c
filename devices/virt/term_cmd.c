/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `vm console` and `vm log`: a guest's serial port, or a port of its virtio console, on the
 * operator's terminal.
 */
#include <string.h>

#include "devices/virt/term.h"
#include "devices/virt/term_session.h"
#include "devices/virt/uart.h"
#include "devices/virt/virtio/console.h"
#include "hv/vm_cmd.h"
#include "kernel/cmd.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/parse.h"

#define SERIAL    "serial"
#define SIZE_MAX_ 1000u

/* "demo:agent" as typed: a VM, and which of its terminals. */
struct target {
	struct vm *vm;
	const char *port;
};

/* Without a word to anybody. Pre: vm->lock. NULL: there is none of that name. */
static struct vterm *term_find(const struct target *t)
{
	struct vcports *ps;
	struct vcport *p;

	if (strcmp(t->port, SERIAL) == 0)
		return vuart_get(t->vm);
	ps = vconsole_ports(t->vm);
	p = ps ? vcports_find(ps, t->port) : NULL;
	return p ? vterm_get(&p->term) : NULL;
}

/* Pre: vm->lock */
static void explain(struct cmd_ctx *ctx, const struct target *t)
{
	const char *vm = t->vm->def.name;
	struct vcports *ps = vconsole_ports(t->vm);
	char names[VCPORT_MAX * (VTERM_NAME_MAX + 2)];

	if (t->vm->uart == NULL) {
		cmd_fail(ctx, -RAY_EINVAL, "'%s' is %s; `vm start %s` first", vm,
			 vm_state_name(t->vm->state), vm);
	} else if (ps == NULL) {
		cmd_fail(ctx, -RAY_ENOENT, "'%s' has no virtio console; define it with "
			 "console=%s, or `vm attach %s console %s`", vm, t->port, vm, t->port);
	} else {
		vcports_names(ps, names, sizeof(names));
		cmd_fail(ctx, -RAY_ENOENT, "'%s' has no port '%s'; there are: %s, %s", vm, t->port,
			 SERIAL, names);
	}
}

/* The terminal, or NULL and an explanation. */
static struct vterm *term_get(struct cmd_ctx *ctx, const struct target *t)
{
	struct vterm *term;

	mutex_lock(&t->vm->lock);
	term = term_find(t);
	if (term == NULL)
		explain(ctx, t);
	mutex_unlock(&t->vm->lock);
	return term;
}

/* Take "VM" or "VM:PORT" apart, in place. False: said already. */
static bool target_get(struct cmd_ctx *ctx, char *word, struct target *t)
{
	char *colon = strchr(word, ':');

	t->port = SERIAL;
	if (colon != NULL) {
		*colon = '\0';
		t->port = colon + 1;
	}
	t->vm = vm_cmd_get(ctx, word);
	return t->vm != NULL;
}

/* --- completion --- */

static void offer(struct cmd_complete *c, const char *vm, const char *port)
{
	char word[VM_NAME_MAX + VTERM_NAME_MAX];

	ray_snprintf(word, sizeof(word), "%s:%s", vm, port);
	cmd_complete_add(c, word);
}

static int offer_ports(struct vm *vm, void *ctx)
{
	struct cmd_complete *c = ctx;
	struct vcports *ps;

	mutex_lock(&vm->lock);
	ps = vconsole_ports(vm);
	cmd_complete_add(c, vm->def.name);
	if (ps != NULL)
		offer(c, vm->def.name, SERIAL);
	for (unsigned int i = 0; ps != NULL && i < ps->count; i++)
		offer(c, vm->def.name, ps->port[i]->term.name);
	mutex_unlock(&vm->lock);
	return 0;
}

static void complete(struct cmd_complete *c, int arg)
{
	if (arg == 0)
		vm_for_each(offer_ports, c);
}

/* --- vm console --- */

struct term_end {
	struct session_end end;
	struct vterm *term;
	uint64_t pos;
};

static int term_end_read(struct session_end *e, char *buf, size_t len)
{
	struct term_end *t = container_of(e, struct term_end, end);
	/* Asked before the copy: what was written until then is shown. */
	bool gone = t->term->gone;
	size_t n = vterm_read(t->term, &t->pos, buf, len);

	return n == 0 && gone ? -RAY_ENODEV : (int)n;
}

static size_t term_end_write(struct session_end *e, const char *buf, size_t len)
{
	struct vterm *t = container_of(e, struct term_end, end)->term;

	return t->ops->type(t, buf, len);
}

/* Tell the guest that somebody has come or gone. */
static void announce(struct vterm *t, bool come, uint16_t cols, uint16_t rows)
{
	if (come && cols != 0 && t->ops->resize != NULL)
		t->ops->resize(t, cols, rows);
	if (t->ops->session != NULL)
		t->ops->session(t, come);
}

/* --size=COLSxROWS; left alone when it is not there. */
static int size_option(struct cmd_ctx *ctx, uint16_t *cols, uint16_t *rows)
{
	const char *text = cmd_option(ctx, "--size");
	char buf[16], *x;
	uint64_t c, r;

	if (text == NULL)
		return 0;
	x = strlcpy(buf, text, sizeof(buf)) < sizeof(buf) ? strchr(buf, 'x') : NULL;
	if (x != NULL)
		*x = '\0';
	if (x == NULL || parse_u64_range(buf, 1, SIZE_MAX_, &c) != 0 ||
	    parse_u64_range(x + 1, 1, SIZE_MAX_, &r) != 0)
		return cmd_fail(ctx, -RAY_EINVAL, "--size=%s: columns and rows, as 80x24", text);
	*cols = (uint16_t)c;
	*rows = (uint16_t)r;
	return 0;
}

/* Until the operator leaves or the VM ends; after a reset or a rebuild it goes on with what is
 * there then. Takes over the reference to @term. */
static void converse(struct cmd_ctx *ctx, const struct target *t, struct vterm *term,
		     uint16_t cols, uint16_t rows)
{
	struct term_end e = {.end = {.read = term_end_read, .write = term_end_write}};
	const char *vm = t->vm->def.name;
	struct term_session s;
	bool left = false;

	session_begin(&s, "vm=%s port=%s", vm, term->name);
	e.pos = cmd_option(ctx, "--from-start") != NULL ? vterm_oldest(term) : vterm_position(term);
	while (term != NULL && !left) {
		e.term = term;
		announce(term, true, cols, rows);
		left = session_run(&s, ctx, &e.end);
		announce(term, false, 0, 0);
		vterm_put(term);
		e.pos = 0;
		/* After a reset the VM has a new one; its lock is held until that is there. */
		mutex_lock(&t->vm->lock);
		term = left ? NULL : term_find(t);
		mutex_unlock(&t->vm->lock);
	}
	cmd_printf(ctx, "\nConsole of '%s' closed (%s).\n", vm, vm_state_name(t->vm->state));
	session_finish(&s, left ? "left" : "ended");
}

static int vm_console_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	uint16_t cols = 0, rows = 0;
	int err = size_option(ctx, &cols, &rows);
	struct vterm *term;
	struct target t;

	(void)argc;
	if (err != 0)
		return err;
	if (!target_get(ctx, argv[0], &t))
		return -RAY_ENOENT;
	term = term_get(ctx, &t);
	if (term != NULL) {
		cmd_printf(ctx, "Console of '%s', port %s. Ctrl-] leaves.\n", t.vm->def.name,
			   term->name);
		if (term->ops->heard != NULL && !term->ops->heard(term))
			cmd_printf(ctx, "Nothing in the guest has opened the port yet; what you type "
				   "waits for it.\n");
		converse(ctx, &t, term, cols, rows);
	}
	vm_put(t.vm);
	return term != NULL ? 0 : -RAY_EINVAL;
}
SHELL_CMD(vm_console, "vm console", "use a virtual machine's console or a named port",
	  .args = "VM[:PORT]", .min_args = 1, .max_args = 1, .options = "--from-start --size=",
	  .help = "Without PORT it is the serial port; PORT is a name or number of the virtio\n"
		  "console's (see `device status`). Ctrl-] leaves. --from-start shows first what\n"
		  "the guest has written so far. --size=80x24 tells the guest your terminal's size.",
	  .example = "vm console demo", .complete = complete, .run = vm_console_run);

/* --- vm log --- */

static int vm_log_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vterm *term;
	struct target t;

	(void)argc;
	if (!target_get(ctx, argv[0], &t))
		return -RAY_ENOENT;
	term = term_get(ctx, &t);
	if (term != NULL) {
		/* What there is by now: the guest may never stop writing. */
		uint64_t end = vterm_position(term), pos = 0;
		char buf[512];

		while (pos < end)
			cmd_write(ctx, buf, vterm_read(term, &pos, buf, sizeof(buf)));
		cmd_printf(ctx, "\n");
		vterm_put(term);
	}
	vm_put(t.vm);
	return term != NULL ? 0 : -RAY_EINVAL;
}
SHELL_CMD(vm_log, "vm log", "show what a virtual machine wrote to its console or a named port",
	  .args = "VM[:PORT]", .min_args = 1, .max_args = 1, .example = "vm log demo",
	  .help = "Without PORT it is the serial port; see `vm console`.",
	  .complete = complete, .run = vm_log_run);
