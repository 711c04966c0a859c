/* SPDX-License-Identifier: Apache-2.0 */
/* `vm key`, `vm type`, `vm pointer`: an operator's hands on a VM's input devices. */
#include <string.h>

#include "devices/virt/virtio/gpu.h"
#include "devices/virt/virtio/input.h"
#include "devices/virt/virtio/input_keys.h"
#include "hv/vm_cmd.h"
#include "kernel/cmd.h"
#include "kernel/lib/parse.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define WHY_MAX   64
#define POLL_NS   5000000ull
#define WAIT_NS   10000000000ull /* for a guest that does not take its events */
/* Between two strokes: programs in the guest have to read as fast, or its kernel drops some (64
 * events wait for a program in Linux). */
#define STROKE_NS 20000000ull
#define MOVE_MAX  16384u
/* The screen that X and Y are on when the VM shows none. */
#define SCREEN_W  1024u
#define SCREEN_H  768u

/* Queue the reports if they have room now: 0, -RAY_EAGAIN or what vinput_send() says. */
static int try_send(struct vm *vm, enum vinput_role role, const struct vinput_reports *r)
{
	struct vattach *a;
	int err = -RAY_ENOENT;

	mutex_lock(&vm->lock);
	a = vinput_find(vm, role);
	if (a)
		err = vinput_room(a) < r->count ? -RAY_EAGAIN : vinput_send(a, r->ev, r->count);
	mutex_unlock(&vm->lock);
	return err;
}

static int send_failed(struct cmd_ctx *ctx, struct vm *vm, enum vinput_role role, int err)
{
	const char *name = vm->def.name, *word = vinput_role_name(role);

	switch (err) {
	case -RAY_ENOENT:
		return cmd_fail(ctx, err, "'%s' has no %s; `vm attach %s input %s` gives it one", name,
				word, name, word);
	case -RAY_ENODEV:
		return cmd_fail(ctx, err, "'%s' does not use its %s: no driver in the guest has it",
				name, word);
	case -RAY_EAGAIN:
		return cmd_fail(ctx, -RAY_ETIMEDOUT, "'%s' does not take events from its %s", name,
				word);
	default:
		return err;
	}
}

/* Wait for room, so that nothing of an operator's is dropped. */
static int send(struct cmd_ctx *ctx, struct vm *vm, enum vinput_role role,
		const struct vinput_reports *r)
{
	uint64_t deadline = time_now() + WAIT_NS;
	int err;

	while ((err = try_send(vm, role, r)) == -RAY_EAGAIN && time_now() < deadline) {
		if (cmd_interrupted(ctx))
			return -RAY_ECANCELED;
		thread_sleep_until(time_now() + POLL_NS);
	}
	return err ? send_failed(ctx, vm, role, err) : 0;
}

static int stroke(struct cmd_ctx *ctx, struct vm *vm, const struct vinput_reports *r)
{
	int err = send(ctx, vm, VINPUT_KEYBOARD, r);

	if (!err)
		thread_sleep_until(time_now() + STROKE_NS);
	return err || !cmd_interrupted(ctx) ? err : -RAY_ECANCELED;
}

/* --- vm key --- */

static int keys_send(struct cmd_ctx *ctx, struct vm *vm, int argc, char **argv)
{
	struct vinput_reports r;
	char why[WHY_MAX];
	int err = 0;

	/* All are understood before the first is pressed. */
	for (int i = 0; i < argc; i++) {
		r.count = 0;
		if (vinput_combo(&r, argv[i], why, sizeof(why)))
			return cmd_fail(ctx, -RAY_EINVAL, "%s in '%s'", why, argv[i]);
	}
	for (int i = 0; i < argc && !err; i++) {
		r.count = 0;
		err = vinput_combo(&r, argv[i], why, sizeof(why));
		if (!err)
			err = stroke(ctx, vm, &r);
	}
	return err;
}

static int vm_key_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm *vm = vm_cmd_get(ctx, argv[0]);
	int err;

	if (!vm)
		return -RAY_ENOENT;
	err = keys_send(ctx, vm, argc - 1, argv + 1);
	vm_put(vm);
	return err;
}

static void key_complete(struct cmd_complete *c, int arg)
{
	const char *name;

	if (arg == 0)
		vm_cmd_complete(c, arg);
	for (unsigned int n = 0; arg > 0 && (name = vinput_key_name(n)) != NULL; n++)
		cmd_complete_add(c, name);
}
SHELL_CMD(vm_key, "vm key", "press keys on a virtual machine's keyboard", .args = "NAME KEYS...",
	  .min_args = 2, .max_args = 17,
	  .help = "KEYS are held together when joined by - or +: ctrl-alt-delete, shift+a, f1, enter. "
		  "The VM needs a device `input = keyboard` that its guest has a driver for.",
	  .example = "vm key demo ctrl-alt-delete", .complete = key_complete, .run = vm_key_run);

/* --- vm type --- */

/* The next character of @text: \n, \t and \\ stand for one. */
static char next_char(const char **text)
{
	char c = *(*text)++;

	if (c != '\\' || (**text != 'n' && **text != 't' && **text != '\\'))
		return c;
	c = *(*text)++;
	return c == 'n' ? '\n' : c == 't' ? '\t' : c;
}

static int text_send(struct cmd_ctx *ctx, struct vm *vm, const char *text)
{
	struct vinput_reports r;
	int err = 0;

	for (const char *p = text; *p;) {
		const char *at = p;

		r.count = 0;
		if (vinput_char(&r, next_char(&p)))
			return cmd_fail(ctx, -RAY_EINVAL, "no key makes what begins '%.8s'", at);
	}
	while (*text && !err) {
		r.count = 0;
		err = vinput_char(&r, next_char(&text));
		if (!err)
			err = stroke(ctx, vm, &r);
	}
	return err;
}

static int vm_type_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm *vm = vm_cmd_get(ctx, argv[0]);
	int err;

	(void)argc;
	if (!vm)
		return -RAY_ENOENT;
	err = text_send(ctx, vm, argv[1]);
	vm_put(vm);
	return err;
}
SHELL_CMD(vm_type, "vm type", "type text on a virtual machine's keyboard", .args = "NAME TEXT",
	  .min_args = 2, .max_args = 2,
	  .help = "ASCII, as keys of the US layout; \\n is Enter, \\t Tab, \\\\ a backslash.",
	  .example = "vm type demo 'ls -l\\n'", .complete = vm_cmd_complete, .run = vm_type_run);

/* --- vm pointer --- */

/* A position on the screen as a tablet has it: the middle of that pixel. */
static uint32_t absolute(uint32_t pixel, uint32_t pixels)
{
	return (uint32_t)((2ull * pixel + 1) * (VINPUT_ABS_MAX + 1) / (2ull * pixels));
}

static bool is_relative(const char *s)
{
	return *s == '+' || *s == '-';
}

static bool relative(const char *s, uint32_t *out)
{
	uint64_t n;

	if (parse_u64_range(s + 1, 0, MOVE_MAX, &n))
		return false;
	*out = *s == '-' ? 0u - (uint32_t)n : (uint32_t)n;
	return true;
}

static void two_events(struct vinput_reports *r, uint16_t type, uint32_t x, uint32_t y)
{
	r->ev[r->count++] = (struct vinput_event){.type = type, .code = VINPUT_ABS_X, .value = x};
	vinput_report(r, type, VINPUT_ABS_Y, y);
}
BUILD_ASSERT(VINPUT_ABS_X == VINPUT_REL_X && VINPUT_ABS_Y == VINPUT_REL_Y, "one code for both");

static void screen_size(struct vm *vm, uint32_t *width, uint32_t *height)
{
	struct vattach *a;

	mutex_lock(&vm->lock);
	a = vgpu_find(vm);
	if (!a || !vgpu_size(a, width, height)) {
		*width = SCREEN_W;
		*height = SCREEN_H;
	}
	mutex_unlock(&vm->lock);
}

static int motion(struct cmd_ctx *ctx, struct vm *vm, char **argv, struct vinput_reports *r,
		  enum vinput_role *role)
{
	uint32_t dx, dy, width, height;
	uint64_t x, y;

	if (is_relative(argv[1]) && is_relative(argv[2])) {
		if (!relative(argv[1], &dx) || !relative(argv[2], &dy))
			return cmd_fail(ctx, -RAY_EINVAL, "X and Y: +N or -N, at most %u", MOVE_MAX);
		*role = VINPUT_MOUSE;
		two_events(r, VINPUT_EV_REL, dx, dy);
		return 0;
	}
	screen_size(vm, &width, &height);
	if (parse_u64_range(argv[1], 0, width - 1, &x) || parse_u64_range(argv[2], 0, height - 1, &y))
		return cmd_fail(ctx, -RAY_EINVAL, "the screen is %u x %u: X from 0 to %u, Y to %u",
				width, height, width - 1, height - 1);
	two_events(r, VINPUT_EV_ABS, absolute((uint32_t)x, width), absolute((uint32_t)y, height));
	return 0;
}

static const struct button {
	const char *name;
	uint16_t type, code;
	uint32_t value;
} buttons[] = {
	{"left", VINPUT_EV_KEY, VINPUT_BTN_LEFT, 1},
	{"right", VINPUT_EV_KEY, VINPUT_BTN_RIGHT, 1},
	{"middle", VINPUT_EV_KEY, VINPUT_BTN_MIDDLE, 1},
	{"wheelup", VINPUT_EV_REL, VINPUT_REL_WHEEL, 1},
	{"wheeldown", VINPUT_EV_REL, VINPUT_REL_WHEEL, UINT32_MAX},
};

static int click(struct cmd_ctx *ctx, const char *name, struct vinput_reports *r)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(buttons); i++) {
		const struct button *b = &buttons[i];

		if (strcmp(name, b->name) != 0)
			continue;
		vinput_report(r, b->type, b->code, b->value);
		if (b->type == VINPUT_EV_KEY)
			vinput_report(r, b->type, b->code, 0);
		return 0;
	}
	return cmd_fail(ctx, -RAY_EINVAL,
			"'%s' is none of left, right, middle, wheelup, wheeldown", name);
}

static int vm_pointer_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm *vm = vm_cmd_get(ctx, argv[0]);
	struct vinput_reports r = {.count = 0};
	enum vinput_role role = VINPUT_TABLET;
	int err;

	if (!vm)
		return -RAY_ENOENT;
	err = motion(ctx, vm, argv, &r, &role);
	if (!err && argc > 3)
		err = click(ctx, argv[3], &r);
	if (!err)
		err = send(ctx, vm, role, &r);
	vm_put(vm);
	return err;
}

static void pointer_complete(struct cmd_complete *c, int arg)
{
	if (arg == 0)
		vm_cmd_complete(c, arg);
	for (unsigned int i = 0; arg == 3 && i < ARRAY_SIZE(buttons); i++)
		cmd_complete_add(c, buttons[i].name);
}
SHELL_CMD(vm_pointer, "vm pointer", "move a virtual machine's pointer and click",
	  .args = "NAME X Y [BUTTON]", .min_args = 3, .max_args = 4,
	  .help = "X and Y are pixels of what the VM shows (of 1024 x 768 when it shows nothing) and need "
		  "a device `input = tablet`; with a sign, +10 -5, they are a move of a device "
		  "`input = mouse`. BUTTON is left, right, middle, wheelup or wheeldown.",
	  .example = "vm pointer demo 512 384 left", .complete = pointer_complete,
	  .run = vm_pointer_run);
