/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `device` commands: what kinds there are, what each VM has, what it does, what it may.
 * `vm attach` and `vm detach` stand in attach_cmd.c.
 */
#include <string.h>

#include "devices/virt/attach.h"
#include "devices/virt/device_cmd.h"
#include "devices/virt/virtio/virtio.h"
#include "hv/vm_cmd.h"
#include "kernel/cmd.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/nearest.h"
#include "kernel/lib/table.h"

/* --- finding a device by the name typed --- */

static void offer_attached(struct vm *vm, void (*offer)(void *ctx, const char *name), void *ctx)
{
	const struct vattach *a;

	list_for_each_entry(a, &vm->attached, node)
		offer(ctx, a->name);
}

static void nearest_one(void *ctx, const char *name)
{
	nearest_offer(ctx, name);
}

struct vattach *device_cmd_find(struct cmd_ctx *ctx, struct vm *vm, const char *name)
{
	struct vattach *a = vattach_find(vm, name);
	struct nearest n;

	if (a)
		return a;
	nearest_init(&n, name);
	offer_attached(vm, nearest_one, &n);
	if (nearest_result(&n))
		cmd_fail(ctx, -RAY_ENOENT, "'%s' has no device '%s'; did you mean '%s'?",
			 vm->def.name, name, nearest_result(&n));
	else
		cmd_fail(ctx, -RAY_ENOENT, "'%s' has no device '%s'; `device status %s` shows what "
			 "it has", vm->def.name, name, vm->def.name);
	return NULL;
}

static void complete_one(void *ctx, const char *name)
{
	cmd_complete_add(ctx, name);
}

void device_cmd_complete(struct cmd_complete *c, int arg)
{
	struct vm *vm;

	if (arg == 0)
		vm_cmd_complete(c, arg);
	if (arg != 1)
		return;
	vm = vm_get(c->argv[0]);
	if (!vm)
		return;
	mutex_lock(&vm->lock);
	offer_attached(vm, complete_one, c);
	mutex_unlock(&vm->lock);
	vm_put(vm);
}

/* --- listings of one VM or all --- */

/* One table with a row for whatever @rows gives for each VM, or the VM named. */
static int listing(struct cmd_ctx *ctx, int argc, char **argv, struct table *t,
		   int (*rows)(struct vm *vm, void *table))
{
	struct vm *vm = argc > 0 ? vm_cmd_get(ctx, argv[0]) : NULL;

	if (argc > 0 && !vm)
		return -RAY_ENOENT;
	while (table_pass(t)) {
		if (vm)
			rows(vm, t);
		else
			vm_for_each(rows, t);
	}
	if (vm)
		vm_put(vm);
	return 0;
}

/* --- device status --- */

static const struct table_col status_cols[] = {
	{"vm", 0}, {"device", 0}, {"kind", 0}, {"slot", TABLE_RIGHT}, {"state", 0},
	{"features", 0}, {"queues", TABLE_RIGHT}, {"active", TABLE_RIGHT},
	{"ops_limit", TABLE_RIGHT}, {"bytes_limit", TABLE_RIGHT}, {"space_limit", TABLE_RIGHT},
	{"space_used", TABLE_RIGHT}, {"details", 0},
};

static const char *state_name(const struct vattach *a)
{
	const struct virtio_dev *d = a->dev;
	uint8_t status = d ? d->status : 0;

	if (!d)
		return "absent";
	if (a->leaving)
		return "leaving";
	if (d->broken || (status & VIRTIO_S_NEEDS_RESET))
		return "needs-reset";
	if (status & VIRTIO_S_FAILED)
		return "failed";
	if (status & VIRTIO_S_DRIVER_OK)
		return "ready";
	return status & VIRTIO_S_FEATURES_OK ? "negotiated" : "plugged";
}

static unsigned int active_queues(const struct virtio_dev *d)
{
	unsigned int n = 0;

	for (unsigned int i = 0; d && i < d->queue_count; i++)
		n += d->queue[i].enabled;
	return n;
}

static void status_row(struct vattach *a, struct table *t)
{
	const struct quota_limits *l = &a->handler.quota.limits;
	const struct virtio_dev *d = a->dev;
	char details[128];

	strlcpy(details, a->spec, sizeof(details));
	if (a->kind->describe)
		a->kind->describe(a, details, sizeof(details));
	table_str(t, a->vm->def.name);
	table_str(t, a->name);
	table_str(t, a->kind->name);
	table_i64(t, a->slot);
	table_str(t, state_name(a));
	table_hex(t, d ? d->features : 0);
	table_u64(t, d ? d->queue_count : 0);
	table_u64(t, active_queues(d));
	table_u64(t, l->ops_per_second);
	table_size(t, l->bytes_per_second);
	table_size(t, l->bytes_in_use);
	table_size(t, quota_in_use(&a->handler.quota));
	table_str(t, details);
}

static int status_rows(struct vm *vm, void *t)
{
	struct vattach *a;

	mutex_lock(&vm->lock);
	list_for_each_entry(a, &vm->attached, node)
		status_row(a, t);
	mutex_unlock(&vm->lock);
	return 0;
}

static int device_status_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct table t;

	table_init(&t, cmd_sink(ctx), cmd_json(ctx), status_cols, ARRAY_SIZE(status_cols));
	return listing(ctx, argc, argv, &t, status_rows);
}
SHELL_CMD(device_status, "device status", "show the state of guests' devices", .args = "[VM]",
	  .max_args = 1,
	  .help = "States: plugged (no driver yet), negotiated (features agreed), ready, needs-reset "
		  "(the driver broke the protocol), failed (the driver gave up), leaving (the guest was "
		  "asked for it), absent. Limits are operations and bytes a second and bytes in use; 0 is none.",
	  .example = "device status --json", .flags = CMD_JSON, .complete = vm_cmd_complete,
	  .run = device_status_run);

/* --- device handlers --- */

static const struct table_col handler_cols[] = {
	{"kind", 0}, {"summary", 0}, {"per_vm", 0}, {"options", 0}, {"example", 0},
};

static int device_handlers_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct table t;

	(void)argc;
	(void)argv;
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), handler_cols, ARRAY_SIZE(handler_cols));
	while (table_pass(&t)) {
		const struct vkind *k;

		for (unsigned int i = 0; (k = vkind_get(i)) != NULL; i++) {
			table_str(&t, k->name);
			table_str(&t, k->summary);
			table_str(&t, k->single ? "one" : "any");
			table_str(&t, k->options);
			table_str(&t, k->example);
		}
	}
	return 0;
}
SHELL_CMD(device_handlers, "device handlers", "list the kinds of devices a guest can be given",
	  .help = "A kind is a key of `vm define` and rayos.conf and an argument of `vm attach`; the "
		  "options are its value, separated by commas.",
	  .example = "device handlers", .flags = CMD_JSON, .run = device_handlers_run);

/* --- device list --- */

static const struct table_col list_cols[] = {
	{"vm", 0}, {"device", 0}, {"type", 0}, {"instance", TABLE_RIGHT}, {"slot", TABLE_RIGHT},
};

static const struct vattach *attach_of(const struct vm *vm, const struct vdev *d)
{
	const struct vattach *a;

	list_for_each_entry(a, &vm->attached, node) {
		if (a->dev && &a->dev->dev == d)
			return a;
	}
	return NULL;
}

static int list_rows(struct vm *vm, void *table)
{
	struct table *t = table;
	const struct vdev *d;

	mutex_lock(&vm->lock);
	list_for_each_entry(d, &vm->vdevs, node) {
		const struct vattach *a = attach_of(vm, d);

		table_str(t, vm->def.name);
		table_str(t, a ? a->name : d->ops->name);
		table_str(t, d->ops->name);
		table_u64(t, a ? a->index : d->instance);
		table_i64(t, a ? a->slot : -1);
	}
	mutex_unlock(&vm->lock);
	return 0;
}

static int device_list_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct table t;

	table_init(&t, cmd_sink(ctx), cmd_json(ctx), list_cols, ARRAY_SIZE(list_cols));
	return listing(ctx, argc, argv, &t, list_rows);
}
SHELL_CMD(device_list, "device list", "list the devices of virtual machines that are up",
	  .args = "[VM]", .max_args = 1,
	  .help = "The machine's own devices come first; slot is where on the PCI bus, -1 for those "
		  "that are not there.",
	  .example = "device list", .flags = CMD_JSON, .complete = vm_cmd_complete,
	  .run = device_list_run);

/* --- device stats --- */

static const struct table_col stats_cols[] = {
	{"vm", 0}, {"device", 0}, {"ops", TABLE_RIGHT}, {"bytes", TABLE_RIGHT},
	{"errors", TABLE_RIGHT}, {"denied", TABLE_RIGHT}, {"throttled", TABLE_RIGHT},
	{"malformed", TABLE_RIGHT}, {"notifies", TABLE_RIGHT}, {"interrupts", TABLE_RIGHT},
	{"p50_ns", TABLE_RIGHT}, {"p90_ns", TABLE_RIGHT}, {"p99_ns", TABLE_RIGHT},
	{"p999_ns", TABLE_RIGHT},
};

static void stats_row(const struct vattach *a, struct table *t)
{
	static const unsigned int permille[] = {500, 900, 990, 999};
	const struct vhandler *h = &a->handler;
	const struct vhandler_count sum = vhandler_total(h);
	uint64_t notifies = a->notifies, interrupts = a->interrupts;

	for (unsigned int i = 0; a->dev && i < a->dev->queue_count; i++) {
		notifies += a->dev->queue[i].notified;
		interrupts += a->dev->queue[i].interrupts;
	}
	table_str(t, a->vm->def.name);
	table_str(t, a->name);
	table_u64(t, sum.ops);
	table_u64(t, sum.bytes);
	table_u64(t, sum.errors);
	table_u64(t, h->denied + h->quota.denials);
	table_u64(t, h->quota.throttles);
	table_u64(t, h->malformed);
	table_u64(t, notifies);
	table_u64(t, interrupts);
	for (unsigned int i = 0; i < ARRAY_SIZE(permille); i++)
		table_u64(t, vhandler_percentile(h, permille[i]));
}

static int stats_rows(struct vm *vm, void *t)
{
	const struct vattach *a;

	mutex_lock(&vm->lock);
	list_for_each_entry(a, &vm->attached, node)
		stats_row(a, t);
	mutex_unlock(&vm->lock);
	return 0;
}

static const struct table_col verb_cols[] = {
	{"vm", 0}, {"device", 0}, {"operation", 0}, {"ops", TABLE_RIGHT}, {"bytes", TABLE_RIGHT},
	{"errors", TABLE_RIGHT},
};

static int verb_rows(struct vm *vm, void *table)
{
	const struct vattach *a;
	struct table *t = table;

	mutex_lock(&vm->lock);
	list_for_each_entry(a, &vm->attached, node) {
		for (const struct vhandler_verb_name *n = a->kind->verbs; n && n->name; n++) {
			const struct vhandler_count *c = &a->handler.count[n->verb];

			table_str(t, vm->def.name);
			table_str(t, a->name);
			table_str(t, n->name);
			table_u64(t, c->ops);
			table_u64(t, c->bytes);
			table_u64(t, c->errors);
		}
	}
	mutex_unlock(&vm->lock);
	return 0;
}

static int device_stats_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct table t;

	if (cmd_option(ctx, "--operations")) {
		table_init(&t, cmd_sink(ctx), cmd_json(ctx), verb_cols, ARRAY_SIZE(verb_cols));
		return listing(ctx, argc, argv, &t, verb_rows);
	}
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), stats_cols, ARRAY_SIZE(stats_cols));
	return listing(ctx, argc, argv, &t, stats_rows);
}
SHELL_CMD(device_stats, "device stats", "count what guests' devices do", .args = "[VM]",
	  .max_args = 1, .options = "--operations",
	  .help = "Operations, their bytes and errors; denied by policy or for space; throttled: put "
		  "off by a rate; malformed: times the driver broke the protocol; latency: half, 90 %, "
		  "99 % and 99.9 % of all operations took no longer (powers of two). Counted since the "
		  "device was attached. --operations counts each kind of operation apart.",
	  .example = "device stats demo --operations", .flags = CMD_JSON,
	  .complete = vm_cmd_complete, .run = device_stats_run);

/* --- device limit --- */

#define NET_ALL "net" /* all network cards of a VM */

static void limit_complete(struct cmd_complete *c, int arg)
{
	device_cmd_complete(c, arg);
	if (arg == 1)
		cmd_complete_add(c, NET_ALL);
}

/* "rate=100M", in bits as in definitions. */
static int rate_set(struct spec *s, struct quota_limits *l)
{
	uint64_t bits = UINT64_MAX; /* no rate */
	int err = spec_rate(s, "rate", &bits);

	if (!err && bits != UINT64_MAX)
		l->bytes_per_second = quota_limits_of_rate(bits).bytes_per_second;
	return err;
}

static int limit_set(struct cmd_ctx *ctx, struct quota_limits *l, char *text)
{
	const struct {
		const char *key;
		uint64_t *field;
		bool size;
	} keys[] = {
		{"ops", &l->ops_per_second, false}, {"ops-burst", &l->ops_burst, false},
		{"bytes", &l->bytes_per_second, true}, {"bytes-burst", &l->bytes_burst, true},
		{"space", &l->bytes_in_use, true},
	};
	struct spec s = {.count = 0};
	char why[128];
	int err = spec_parse(&s, text, why, sizeof(why));

	for (unsigned int i = 0; i < ARRAY_SIZE(keys) && !err; i++) {
		if (keys[i].size)
			err = spec_size(&s, keys[i].key, keys[i].field);
		else
			err = spec_u64(&s, keys[i].key, 0, UINT64_MAX, keys[i].field);
	}
	if (!err)
		err = rate_set(&s, l);
	if (!err)
		err = spec_all_used(&s, "ops ops-burst bytes bytes-burst rate space");
	return err ? cmd_fail(ctx, err, "%s", why) : 0;
}

static int device_limit_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm *vm = vm_cmd_get(ctx, argv[0]);
	struct quota_limits limits;
	struct vattach *a = NULL;
	bool all_cards;
	int err = 0;

	if (!vm)
		return -RAY_ENOENT;
	all_cards = strcmp(argv[1], NET_ALL) == 0;
	mutex_lock(&vm->lock);
	if (!all_cards)
		a = device_cmd_find(ctx, vm, argv[1]);
	if (!all_cards && !a) {
		err = -RAY_ENOENT;
		goto out;
	}
	if (all_cards && !vm->devices_open) {
		err = cmd_fail(ctx, -RAY_EINVAL, "'%s' is not up; what it starts with is the net-rate "
			       "of its definition", vm->def.name);
		goto out;
	}
	limits = a ? a->handler.quota.limits : vm->net_quota.limits;
	for (int i = 2; i < argc && !err; i++)
		err = limit_set(ctx, &limits, argv[i]);
	if (!err && a)
		vattach_limit(a, &limits);
	else if (!err)
		vattach_limit_net(vm, &limits);
out:
	mutex_unlock(&vm->lock);
	vm_put(vm);
	return err;
}
SHELL_CMD(device_limit, "device limit", "change what a guest's device may use, while it runs",
	  .args = "VM DEVICE KEY=VALUE...", .min_args = 3, .max_args = 7,
	  .help = "Keys: ops and bytes (a second), ops-burst and bytes-burst (at once; 0: a tenth of a "
		  "second's worth), rate (bits a second: rate=100M), space (bytes in use). 0 is unlimited. "
		  "The device `net` is all network cards together. Holds until the VM ends.",
	  .example = "device limit demo disk0 ops=1000 bytes=50M", .complete = limit_complete,
	  .run = device_limit_run);
