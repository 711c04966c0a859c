/* SPDX-License-Identifier: Apache-2.0 */
/* `disk fault`: have a disk fail, to see what becomes of what stands on it. */
#include <string.h>

#include "kernel/block/block_cmd.h"
#include "kernel/block/block_priv.h"
#include "kernel/cmd.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/parse.h"
#include "kernel/lib/table.h"
#define LOG_TAG "block"
#include "kernel/log.h"

#define ALL_OPS (BIT(BLOCK_OP_COUNT) - 1u)
/* disk fault NAME KIND OPERATION OFFSET BYTES [COUNT] */
enum { ARG_NAME, ARG_KIND, ARG_OP, ARG_OFFSET, ARG_BYTES, ARG_COUNT, ARGS_MAX };

static const char *const op_names[BLOCK_OP_COUNT] = {"read", "write", "flush", "discard", "zero"};

static int ops_parse(const char *s, uint32_t *out)
{
	*out = strcmp(s, "all") == 0 ? ALL_OPS : 0;
	for (unsigned int i = 0; i < BLOCK_OP_COUNT; i++) {
		if (strcmp(s, op_names[i]) == 0)
			*out = BIT(i);
	}
	return *out ? 0 : -RAY_EINVAL;
}

static void fault_row(struct table *t, const struct block_fault *f)
{
	const char *op = "all";

	for (unsigned int i = 0; i < BLOCK_OP_COUNT; i++) {
		if (f->ops == BIT(i))
			op = op_names[i];
	}
	table_str(t, f->kind == BLOCK_FAULT_ERROR ? "error" : "silent");
	table_str(t, op);
	table_u64(t, f->off);
	table_u64(t, f->len);
	if (f->left == BLOCK_FAULT_ALWAYS)
		table_str(t, "always");
	else
		table_u64(t, f->left);
	table_u64(t, f->hits);
}

static int list(struct cmd_ctx *ctx, struct block_dev *d)
{
	static const struct table_col cols[] = {{"kind", 0}, {"operation", 0},
						{"offset", TABLE_RIGHT}, {"bytes", TABLE_RIGHT},
						{"left", TABLE_RIGHT}, {"hits", TABLE_RIGHT}};
	struct block_fault faults[BLOCK_FAULTS_MAX];
	unsigned int n = block_fault_list(d, faults);
	struct table t;

	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t))
		for (unsigned int i = 0; i < n; i++)
			fault_row(&t, &faults[i]);
	return 0;
}

static int add(struct cmd_ctx *ctx, struct block_dev *d, int argc, char **argv)
{
	struct block_fault f = {.kind = BLOCK_FAULT_ERROR, .left = BLOCK_FAULT_ALWAYS};
	uint64_t count = BLOCK_FAULT_ALWAYS;
	int err;

	if (strcmp(argv[ARG_KIND], "silent") == 0)
		f.kind = BLOCK_FAULT_SILENT;
	else if (strcmp(argv[ARG_KIND], "error") != 0)
		return cmd_fail(ctx, -RAY_EINVAL, "'%s' is neither error, silent nor clear",
				argv[ARG_KIND]);
	if (argc <= ARG_BYTES)
		return cmd_fail(ctx, -RAY_EINVAL, "an operation, an offset and bytes, like "
				"`disk fault %s error read 0 4K`", d->ident.name);
	if (ops_parse(argv[ARG_OP], &f.ops))
		return cmd_fail(ctx, -RAY_EINVAL,
				"'%s' is no operation: read, write, flush, discard, zero or all",
				argv[ARG_OP]);
	if (parse_size(argv[ARG_OFFSET], &f.off) || parse_size(argv[ARG_BYTES], &f.len))
		return cmd_fail(ctx, -RAY_EINVAL, "an offset and bytes, like 64K 512");
	if (argc > ARG_COUNT && parse_u64_range(argv[ARG_COUNT], 1, UINT32_MAX - 1, &count))
		return cmd_fail(ctx, -RAY_EINVAL, "'%s' is no number of commands",
				argv[ARG_COUNT]);
	f.left = (uint32_t)count;
	err = block_fault_add(d, &f);
	if (err == -RAY_ENOSPC)
		return cmd_fail(ctx, err, "a disk has %u faults at most; `disk fault %s clear`",
				BLOCK_FAULTS_MAX, d->ident.name);
	if (err)
		return cmd_fail(ctx, err, "'%s' ends at %lu", d->ident.name,
				(unsigned long)d->ident.size);
	log_warn("disk fails on demand: %s of %s disk=%s", argv[ARG_KIND], argv[ARG_OP],
		 d->ident.name);
	return 0;
}

static int disk_fault_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct block_dev *d = block_cmd_named(ctx, argv[ARG_NAME]);
	int err = 0;

	if (!d)
		return -RAY_ENOENT;
	if (argc == 1)
		err = list(ctx, d);
	else if (argc == 2 && strcmp(argv[ARG_KIND], "clear") == 0)
		block_fault_clear(d);
	else
		err = add(ctx, d, argc, argv);
	block_put(d);
	return err;
}
SHELL_CMD(disk_fault, "disk fault", "have a disk fail on demand, for tests",
	  .args = "NAME [clear | error|silent OPERATION OFFSET BYTES [COUNT]]", .min_args = 1,
	  .max_args = ARGS_MAX, .flags = CMD_JSON,
	  .help = "Commands to the disk that touch the range fail (error), or no answer comes to\n"
		  "them, as of a disk that hangs (silent): COUNT of them, or all until `clear`. The\n"
		  "device itself is not asked. Operations: read, write, flush, discard, zero, all.\n"
		  "Without more than a name: the faults there are.",
	  .example = "disk fault nvme0n1 error read 64K 4K 1", .complete = block_cmd_complete,
	  .run = disk_fault_run);
