/* SPDX-License-Identifier: Apache-2.0 */
/* `vm balloon`: how much memory a guest keeps. */
#include <string.h>

#include "devices/virt/virtio/balloon.h"
#include "hv/vm_cmd.h"
#include "kernel/cmd.h"
#include "kernel/lib/err.h"
#include "kernel/lib/parse.h"
#include "kernel/lib/table.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define STATS_WAIT_NS 200000000ull
/* What a guest is not asked to go below. */
#define KEEP_MIN MIB(16)

/* Tags of 5.5.6.3. */
#define STAT_FREE      4u
#define STAT_TOTAL     5u
#define STAT_AVAILABLE 6u

static const struct table_col cols[] = {
	{"vm", 0}, {"memory", TABLE_RIGHT}, {"host_holds", TABLE_RIGHT}, {"target", TABLE_RIGHT},
	{"balloon", TABLE_RIGHT}, {"returned", TABLE_RIGHT}, {"reports_free", 0},
	{"guest_total", TABLE_RIGHT}, {"guest_free", TABLE_RIGHT},
	{"guest_available", TABLE_RIGHT},
};

static void stat_cell(struct table *t, const struct vballoon_info *i, unsigned int tag)
{
	bool known = i->stats_known && i->stats[tag] != UINT64_MAX;

	table_size(t, known ? i->stats[tag] : 0);
}

static void show(struct cmd_ctx *ctx, struct vm *vm, const struct vballoon_info *i)
{
	struct table t;

	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t)) {
		table_str(&t, vm->def.name);
		table_size(&t, vm->def.memory);
		table_size(&t, vm->mem.bytes);
		table_size(&t, i->target);
		table_size(&t, i->held);
		table_size(&t, i->returned);
		table_bool(&t, i->reporting);
		stat_cell(&t, i, STAT_TOTAL);
		stat_cell(&t, i, STAT_FREE);
		stat_cell(&t, i, STAT_AVAILABLE);
	}
}

static int target_set(struct cmd_ctx *ctx, struct vm *vm, struct vattach *a, const char *text)
{
	uint64_t keep;

	if (parse_size_range(text, KEEP_MIN, vm->def.memory, &keep))
		return cmd_fail(ctx, -RAY_ERANGE, "'%s' is not a size from 16M to the machine's %luM",
				text, (unsigned long)(vm->def.memory >> 20));
	vballoon_target_set(a, ALIGN_DOWN(vm->def.memory - keep, PAGE_SIZE));
	return 0;
}

/* The balloon of @name's VM and its numbers, under the VM's lock. */
static int look(struct cmd_ctx *ctx, struct vm *vm, const char *keep, bool ask,
		struct vballoon_info *info)
{
	struct vattach *a;
	int err = 0;

	mutex_lock(&vm->lock);
	a = vballoon_find(vm);
	if (!a || !vballoon_info(a, info))
		err = cmd_fail(ctx, -RAY_ENODEV, "'%s' has no balloon now; `vm attach %s balloon`, or "
			       "start it if its definition has one", vm->def.name, vm->def.name);
	else if (keep)
		err = target_set(ctx, vm, a, keep);
	else if (ask)
		vballoon_ask(a);
	mutex_unlock(&vm->lock);
	return err;
}

static int vm_balloon_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm *vm = vm_cmd_get(ctx, argv[0]);
	struct vballoon_info info = {0};
	int err;

	if (!vm)
		return -RAY_ENOENT;
	err = look(ctx, vm, argc > 1 ? argv[1] : NULL, true, &info);
	if (!err && argc == 1) {
		/* The driver answers soon, or has nothing new to say. */
		thread_sleep_until(time_now() + STATS_WAIT_NS);
		err = look(ctx, vm, NULL, false, &info);
		if (!err)
			show(ctx, vm, &info);
	}
	vm_put(vm);
	return err;
}
SHELL_CMD(vm_balloon, "vm balloon", "show or set how much memory a guest keeps",
	  .args = "VM [SIZE]", .min_args = 1, .max_args = 2, .flags = CMD_JSON,
	  .help = "With SIZE the guest is asked to keep that much and to give the rest to the host; it "
		  "does so as far as it can. The machine needs a `balloon` device.",
	  .example = "vm balloon demo", .complete = vm_cmd_complete, .run = vm_balloon_run);
