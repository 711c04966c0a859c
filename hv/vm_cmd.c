/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `vm` commands that drive life cycle and listings. `vm console` and `vm log` stand with
 * the guest's UART.
 */
#include <string.h>

#include "hv/exit.h"
#include "kernel/module.h"
#include "hv/vm_cmd.h"
#include "hv/vm_priv.h"
#include "kernel/cmd.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/nearest.h"
#include "kernel/lib/table.h"
#include "kernel/time/time.h"

#define WHY_MAX 192
/* Name, keys, devices, within the words of a line. */
#define DEFINE_ARGS (8 + VM_DEV_MAX)

/* --- finding a VM by the name typed --- */

static int offer_nearest(struct vm *vm, void *ctx)
{
	nearest_offer(ctx, vm->def.name);
	return 0;
}

struct vm *vm_cmd_get(struct cmd_ctx *ctx, const char *name)
{
	struct vm *vm = vm_get(name);
	struct nearest n;

	if (vm != NULL)
		return vm;
	nearest_init(&n, name);
	vm_for_each(offer_nearest, &n);
	if (nearest_result(&n) != NULL)
		cmd_fail(ctx, -RAY_ENOENT, "no VM '%s'; did you mean '%s'?", name, nearest_result(&n));
	else
		cmd_fail(ctx, -RAY_ENOENT, "no VM '%s'; `vm list` shows what there is", name);
	return NULL;
}

static int offer_name(struct vm *vm, void *ctx)
{
	cmd_complete_add(ctx, vm->def.name);
	return 0;
}

void vm_cmd_complete(struct cmd_complete *c, int arg)
{
	if (arg == 0)
		vm_for_each(offer_name, c);
}

/* --- vm list --- */

static const struct table_col list_cols[] = {
	{ "name", 0 }, { "state", 0 }, { "vcpus", TABLE_RIGHT }, { "memory", TABLE_RIGHT },
	{ "uptime_s", TABLE_RIGHT }, { "exits", TABLE_RIGHT }, { "reason", 0 },
};

static uint64_t exits_total(const struct vm *vm)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		for (unsigned int k = 0; k < HV_EXIT_KIND_COUNT; k++)
			n += vm->vcpu[i]->exits[k];
	}
	return n;
}

static bool is_up(const struct vm *vm)
{
	return vm->state == VM_RUNNING || vm->state == VM_PAUSED;
}

static int list_row(struct vm *vm, void *ctx)
{
	struct table *t = ctx;

	mutex_lock(&vm->lock);
	table_str(t, vm->def.name);
	table_str(t, vm_state_name(vm->state));
	table_u64(t, vm->def.vcpus);
	table_size(t, vm->def.memory);
	table_u64(t, is_up(vm) ? (time_now() - vm->started_ns) / 1000000000ull : 0);
	table_u64(t, exits_total(vm));
	table_str(t, vm->state == VM_PAUSED ? vm->pause_reason : vm->reason);
	mutex_unlock(&vm->lock);
	return 0;
}

static int vm_list_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct table t;

	(void)argc;
	(void)argv;
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), list_cols, ARRAY_SIZE(list_cols));
	while (table_pass(&t))
		vm_for_each(list_row, &t);
	return 0;
}
SHELL_CMD(vm_list, "vm list", "list virtual machines", .example = "vm list --json",
	  .flags = CMD_JSON, .run = vm_list_run);

/* --- vm define, undefine --- */

/* It is done in any case; without a store it is for this run only. */
static int kept(struct cmd_ctx *ctx, int err)
{
	if (err == 0 || err == -RAY_ENODEV)
		return 0;
	return cmd_fail(ctx, err, "done, but not for the next start: the store says '%s'; see "
			"`volume stores`", ray_strerror(err));
}

static int vm_define_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm_def def;
	char why[WHY_MAX];
	int err = 0;

	vm_def_init(&def);
	if (strlen(argv[0]) >= sizeof(def.name))
		return cmd_fail(ctx, -RAY_ERANGE, "name: longer than %u bytes", VM_NAME_MAX - 1);
	memcpy(def.name, argv[0], strlen(argv[0]) + 1);
	for (int i = 1; i < argc && err == 0; i++) {
		char *eq = strchr(argv[i], '=');

		if (eq == NULL)
			return cmd_fail(ctx, -RAY_EINVAL, "'%s' is not key=value", argv[i]);
		*eq = '\0';
		err = vm_def_set(&def, argv[i], eq + 1, why, sizeof(why));
	}
	if (err == 0)
		err = vm_define(&def, why, sizeof(why));
	return err != 0 ? cmd_fail(ctx, err, "%s", why) : kept(ctx, vm_store_keep(&def));
}
SHELL_CMD(vm_define, "vm define", "define a virtual machine", .args = "NAME KEY=VALUE...",
	  .min_args = 2, .max_args = DEFINE_ARGS,
	  .help = "Keys: kernel, initrd (modules), cmdline, memory, vcpus, autostart, testdev, "
		  "net-rate (what all network cards may send: bits a second, 100M); hostname, user, ssh-key, "
		  "password (a hash), of which a cloud image configures itself; and for "
		  "each device its kind with its options, as `device handlers` has them; a kind may "
		  "stand there several times. With a store (`volume stores`) the definition is there "
		  "again after a restart.",
	  .example = "vm define web kernel=vmlinuz initrd=initrd.img memory=512M rng=rate=64K \"cmdline=console=ttyS0\"",
	  .run = vm_define_run);

/* An operation that says itself why it could not be done. */
static int explained(struct cmd_ctx *ctx, const char *name,
		     int (*op)(struct vm *vm, char *why, size_t why_len))
{
	struct vm *vm = vm_cmd_get(ctx, name);
	char why[WHY_MAX];
	int err;

	if (vm == NULL)
		return -RAY_ENOENT;
	err = op(vm, why, sizeof(why));
	vm_put(vm);
	return err != 0 ? cmd_fail(ctx, err, "%s", why) : 0;
}

static int vm_undefine_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	int err = explained(ctx, argv[0], vm_undefine);

	(void)argc;
	return err != 0 ? err : kept(ctx, vm_store_forget(argv[0]));
}
SHELL_CMD(vm_undefine, "vm undefine", "forget a virtual machine that does not run",
	  .args = "NAME", .min_args = 1, .max_args = 1, .example = "vm undefine web",
	  .complete = vm_cmd_complete, .run = vm_undefine_run);

/* --- life cycle --- */

static int vm_start_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	(void)argc;
	return explained(ctx, argv[0], vm_start);
}
SHELL_CMD(vm_start, "vm start", "start a virtual machine", .args = "NAME", .min_args = 1,
	  .max_args = 1, .example = "vm start demo", .complete = vm_cmd_complete,
	  .run = vm_start_run);

static int simple(struct cmd_ctx *ctx, const char *name, int (*op)(struct vm *vm), const char *need)
{
	struct vm *vm = vm_cmd_get(ctx, name);
	int err;

	if (vm == NULL)
		return -RAY_ENOENT;
	err = op(vm);
	if (err == -RAY_EINVAL)
		cmd_fail(ctx, err, "'%s' is %s; it must be %s", vm->def.name,
			 vm_state_name(vm->state), need);
	vm_put(vm);
	return err;
}

static int kill_op(struct vm *vm)
{
	return vm_kill(vm, "operator");
}

#define SIMPLE_CMD(ident, op, name_, summary_, need)                                               \
	static int vm_##ident##_run(struct cmd_ctx *ctx, int argc, char **argv)                    \
	{                                                                                          \
		(void)argc;                                                                        \
		return simple(ctx, argv[0], op, need);                                             \
	}                                                                                          \
	SHELL_CMD(vm_##ident, name_, summary_, .args = "NAME", .min_args = 1, .max_args = 1,       \
		  .example = name_ " demo", .complete = vm_cmd_complete, .run = vm_##ident##_run)

SIMPLE_CMD(stop, vm_stop, "vm stop", "press a virtual machine's ACPI power button", "running");
SIMPLE_CMD(kill, kill_op, "vm kill", "end a virtual machine at once", "running or paused");
SIMPLE_CMD(pause, vm_pause, "vm pause", "hold a virtual machine", "running");
SIMPLE_CMD(resume, vm_resume, "vm resume", "let a paused virtual machine go on", "paused");
SIMPLE_CMD(reset, vm_reset, "vm reset", "restart a virtual machine at once", "running or paused");

static int vm_rebuild_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm *vm = vm_cmd_get(ctx, argv[0]);
	struct vm_rebuild_stats done = { 0 };
	char why[WHY_MAX];
	int err;

	(void)argc;
	if (vm == NULL)
		return -RAY_ENOENT;
	err = vm_rebuild(vm, &done, why, sizeof(why));
	if (err != 0)
		cmd_fail(ctx, err, "%s", why);
	else
		cmd_printf(ctx, "'%s': %u records, %lu bytes; the guest stood for %lu us\n",
			   vm->def.name, done.records, (unsigned long)done.bytes,
			   (unsigned long)(done.ns / 1000));
	vm_put(vm);
	return err;
}
SHELL_CMD(vm_rebuild, "vm rebuild", "take a running virtual machine apart and restore it",
	  .args = "NAME", .min_args = 1, .max_args = 1,
	  .help = "Saves the state of every vCPU and device, destroys them, makes new ones around the "
		  "guest's memory and loads the state: the guest goes on as if nothing had been. "
		  "What it wrote to its serial port so far is forgotten.",
	  .example = "vm rebuild demo", .complete = vm_cmd_complete, .run = vm_rebuild_run);

/* --- vm info, vm stats --- */

static void info_devices(struct record *r, const struct vm_def *def)
{
	char line[VM_DEV_KIND_MAX + VM_DEV_SPEC_MAX];

	record_list(r, "devices");
	for (uint32_t i = 0; i < def->dev_count; i++) {
		ray_snprintf(line, sizeof(line), "%s=%s", def->dev[i].kind, def->dev[i].spec);
		record_item(r, line);
	}
	record_list_end(r);
}

static int vm_info_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm *vm = vm_cmd_get(ctx, argv[0]);
	struct record r;

	(void)argc;
	if (vm == NULL)
		return -RAY_ENOENT;
	mutex_lock(&vm->lock);
	record_begin(&r, cmd_sink(ctx), cmd_json(ctx));
	record_str(&r, "name", vm->def.name);
	record_str(&r, "state", vm_state_name(vm->state));
	record_str(&r, "reason", vm->reason);
	record_str(&r, "kernel", vm->def.kernel);
	record_str(&r, "initrd", vm->def.initrd);
	record_str(&r, "cmdline", vm->def.cmdline);
	record_size(&r, "memory", vm->def.memory);
	record_u64(&r, "vcpus", vm->def.vcpus);
	record_bool(&r, "autostart", vm->def.autostart);
	record_bool(&r, "testdev", vm->def.testdev);
	record_u64(&r, "net_rate", vm->def.net_rate);
	info_devices(&r, &vm->def);
	record_u64(&r, "crashes", vm->crash_count);
	record_u64(&r, "resets", vm->reset_count);
	if (is_up(vm)) {
		record_u64(&r, "uptime_s", (time_now() - vm->started_ns) / 1000000000ull);
		if (vm->first_output_tsc != 0)
			record_u64(&r, "ticks_to_output", vm->first_output_tsc - vm->start_tsc);
		record_size(&r, "memory_held", vm->mem.bytes);
		record_size(&r, "page_tables", vm->mem.s2.table_pages * PAGE_SIZE);
	}
	record_end(&r);
	mutex_unlock(&vm->lock);
	vm_put(vm);
	return 0;
}
SHELL_CMD(vm_info, "vm info", "show one virtual machine", .args = "NAME", .min_args = 1,
	  .max_args = 1, .example = "vm info demo", .flags = CMD_JSON,
	  .complete = vm_cmd_complete, .run = vm_info_run);

static const struct table_col stats_cols[] = {
	{ "vcpu", TABLE_RIGHT }, { "counter", 0 }, { "value", TABLE_RIGHT },
};

static void stats_row(struct table *t, unsigned int vcpu, const char *name, uint64_t value)
{
	if (value == 0)
		return;
	table_u64(t, vcpu);
	table_str(t, name);
	table_u64(t, value);
}

static void stats_rows(struct table *t, struct vm *vm)
{
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		const struct vcpu *v = vm->vcpu[i];

		for (unsigned int k = 0; k < HV_EXIT_KIND_COUNT; k++)
			stats_row(t, i, hv_exit_name((enum hv_exit_kind)k), v->exits[k]);
		stats_row(t, i, "msr_denied", v->msr_denied);
		stats_row(t, i, "io_unknown", v->io_unknown);
		stats_row(t, i, "halts", v->halt_count);
		if (v->thread != NULL)
			stats_row(t, i, "runtime_ns", thread_runtime(v->thread));
	}
}

static int vm_stats_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm *vm = vm_cmd_get(ctx, argv[0]);
	struct table t;

	(void)argc;
	if (vm == NULL)
		return -RAY_ENOENT;
	mutex_lock(&vm->lock);
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), stats_cols, ARRAY_SIZE(stats_cols));
	while (table_pass(&t))
		stats_rows(&t, vm);
	mutex_unlock(&vm->lock);
	vm_put(vm);
	return 0;
}
SHELL_CMD(vm_stats, "vm stats", "count a virtual machine's exits by kind", .args = "NAME",
	  .min_args = 1, .max_args = 1, .example = "vm stats demo", .flags = CMD_JSON,
	  .complete = vm_cmd_complete, .run = vm_stats_run);

/* --- modules --- */

static const struct table_col module_cols[] = {
	{ "name", 0 }, { "size", TABLE_RIGHT }, { "status", 0 },
};

static void module_row(void *ctx, const char *name, uint64_t size, int status)
{
	struct table *t = ctx;

	table_str(t, name);
	table_u64(t, size);
	table_str(t, status == 0 ? "loaded" : ray_strerror(status));
}

static int vm_modules_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct table t;

	(void)argc;
	(void)argv;
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), module_cols, ARRAY_SIZE(module_cols));
	while (table_pass(&t))
		module_for_each(module_row, &t);
	return 0;
}
SHELL_CMD(vm_modules, "vm modules", "list kernels and initrds the loader brought",
	  .example = "vm modules", .flags = CMD_JSON, .run = vm_modules_run);
