/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `vm attach` and `vm detach`: devices of a VM that is up, or lines of the definition of one
 * that is not.
 */
#include <string.h>

#include "devices/virt/attach.h"
#include "devices/virt/device_cmd.h"
#include "hv/vm_cmd.h"
#include "kernel/cmd.h"
#include "kernel/lib/err.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define WHY_MAX 192
#define EJECT_NS 10000000000ull /* how long the operator waits for the guest */
#define POLL_NS  20000000ull

static bool is_up(const struct vm *vm)
{
	return vm->state == VM_RUNNING || vm->state == VM_PAUSED;
}

/* --- vm attach --- */

static int attach(struct cmd_ctx *ctx, struct vm *vm, const char *kind, const char *spec)
{
	struct vattach *a;
	char why[WHY_MAX];
	int err;

	if (is_up(vm)) {
		err = vattach_add(vm, kind, spec, &a, why, sizeof(why));
		if (!err)
			cmd_printf(ctx, "'%s' has %s, slot %d\n", vm->def.name, a->name, a->slot);
	} else {
		err = vm_def_device_add(&vm->def, kind, spec, why, sizeof(why));
		if (err == -RAY_ENOENT)
			return cmd_fail(ctx, err, "no kind of device is '%s'; see `device handlers`",
					kind);
		if (!err)
			cmd_printf(ctx, "'%s' gets it when it starts\n", vm->def.name);
	}
	return err ? cmd_fail(ctx, err, "%s", why) : 0;
}

static int vm_attach_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm *vm = vm_cmd_get(ctx, argv[0]);
	int err;

	if (!vm)
		return -RAY_ENOENT;
	mutex_lock(&vm->lock);
	err = attach(ctx, vm, argv[1], argc > 2 ? argv[2] : "");
	mutex_unlock(&vm->lock);
	vm_put(vm);
	return err;
}

static void attach_complete(struct cmd_complete *c, int arg)
{
	const struct vkind *k;

	if (arg == 0)
		vm_cmd_complete(c, arg);
	for (unsigned int i = 0; arg == 1 && (k = vkind_get(i)) != NULL; i++)
		cmd_complete_add(c, k->name);
}

SHELL_CMD(vm_attach, "vm attach", "give a virtual machine a device", .args = "VM KIND [OPTIONS]",
	  .min_args = 2, .max_args = 3,
	  .help = "`device handlers` lists the kinds and their options. A machine that is up gets the "
		  "device at once and until it ends; of one that is not, the definition is changed.",
	  .example = "vm attach demo disk ram=256M", .complete = attach_complete,
	  .run = vm_attach_run);

/* --- vm detach --- */

/* The line of a definition that becomes the device called @name. */
static int def_line(const struct vm_def *def, const char *name)
{
	char expected[VATTACH_NAME_MAX];

	for (uint32_t i = 0; i < def->dev_count; i++) {
		unsigned int index = 0;

		for (uint32_t j = 0; j < i; j++)
			index += strcmp(def->dev[j].kind, def->dev[i].kind) == 0;
		vattach_name(expected, def->dev[i].kind, index);
		if (strcmp(expected, name) == 0)
			return (int)i;
	}
	return -RAY_ENOENT;
}

static int undefine_device(struct cmd_ctx *ctx, struct vm_def *def, const char *name)
{
	int i = def_line(def, name);

	if (i < 0)
		return cmd_fail(ctx, i, "the definition of '%s' has no device '%s'; `vm info %s` shows "
				"what it has", def->name, name, def->name);
	def->dev_count--;
	memmove(&def->dev[i], &def->dev[i + 1],
		(def->dev_count - (uint32_t)i) * sizeof(def->dev[0]));
	return 0;
}

static bool still_there(struct vm *vm, uint64_t serial)
{
	const struct vattach *a;
	bool found = false;

	mutex_lock(&vm->lock);
	list_for_each_entry(a, &vm->attached, node)
		found |= a->serial == serial;
	mutex_unlock(&vm->lock);
	return found;
}

/* The guest has been asked: wait until it has let go, or the VM is gone. */
static int wait_gone(struct cmd_ctx *ctx, struct vm *vm, uint64_t serial, const char *name)
{
	uint64_t deadline = time_now() + EJECT_NS;

	while (still_there(vm, serial)) {
		if (cmd_interrupted(ctx))
			return -RAY_ECANCELED;
		if (time_now() > deadline)
			return cmd_fail(ctx, -RAY_ETIMEDOUT, "the guest has not let go of %s so far; it "
					"goes when it does or when '%s' is reset; --force pulls it now",
					name, vm->def.name);
		thread_sleep_until(time_now() + POLL_NS);
	}
	return 0;
}

/* Pull it, or ask for it: then *serial is what to wait for. Context: vm->lock. */
static int detach(struct cmd_ctx *ctx, struct vm *vm, const char *name, uint64_t *serial)
{
	struct vattach *a;
	char why[WHY_MAX];
	int err;

	if (!is_up(vm))
		return undefine_device(ctx, &vm->def, name);
	a = device_cmd_find(ctx, vm, name);
	if (!a)
		return -RAY_ENOENT;
	if (cmd_option(ctx, "--force")) {
		vattach_pull(a);
		return 0;
	}
	err = vattach_ask(a, why, sizeof(why));
	if (err)
		return cmd_fail(ctx, err, "%s; --force pulls it", why);
	*serial = a->serial;
	return 0;
}

static int vm_detach_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm *vm = vm_cmd_get(ctx, argv[0]);
	uint64_t serial = 0;
	int err;

	(void)argc;
	if (!vm)
		return -RAY_ENOENT;
	mutex_lock(&vm->lock);
	err = detach(ctx, vm, argv[1], &serial);
	mutex_unlock(&vm->lock);
	if (!err && serial)
		err = wait_gone(ctx, vm, serial, argv[1]);
	vm_put(vm);
	return err;
}
SHELL_CMD(vm_detach, "vm detach", "take a device from a virtual machine", .args = "VM DEVICE",
	  .min_args = 2, .max_args = 2, .options = "--force",
	  .help = "The guest is asked to let go of it by ACPI, as on a machine with hot plug; --force "
		  "takes it at once, as when a card is pulled: what the guest has in flight is lost. Of "
		  "a machine that is not up the definition is changed.",
	  .example = "vm detach demo disk1", .complete = device_cmd_complete, .run = vm_detach_run);
