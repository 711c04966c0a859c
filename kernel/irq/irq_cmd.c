/* SPDX-License-Identifier: Apache-2.0 */
/* The shell's view of interrupts. */
#include "kernel/cmd.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/table.h"
#include "kernel/mm/heap.h"

#define SPARE 16u /* handlers that may appear between counting and copying */

static void row(struct table *t, const struct irq_info *i)
{
	table_str(t, i->name);
	table_str(t, i->type);
	if (i->gsi == UINT32_MAX)
		table_str(t, "-");
	else
		table_fmt(t, "%u", i->gsi);
	table_u64(t, i->cpu);
	table_fmt(t, "%#x", i->vector);
	table_str(t, i->gsi == UINT32_MAX ? "-" : i->level ? "level" : "edge");
	table_bool(t, i->masked);
	table_u64(t, i->count);
}

static int irq_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {
		{ "name", 0 },	 { "type", 0 },	  { "gsi", TABLE_RIGHT }, { "cpu", TABLE_RIGHT },
		{ "vector", 0 }, { "trigger", 0 }, { "masked", 0 },	  { "count", TABLE_RIGHT },
	};
	size_t max = irq_list(NULL, 0) + SPARE, n;
	struct irq_info *info = kcalloc(max, sizeof(*info), MEM_SHELL);
	bool all = cmd_option(ctx, "--all") != NULL;
	struct table t;

	(void)argc;
	(void)argv;
	if (!info)
		return -RAY_ENOMEM;
	n = MIN(irq_list(info, max), max);
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t))
		for (size_t i = 0; i < n; i++)
			if (all || info[i].count || info[i].gsi != UINT32_MAX)
				row(&t, &info[i]);
	kfree(info);
	return 0;
}

SHELL_CMD(irq, "irq", "list interrupts with their counts", .flags = CMD_JSON,
	  .options = "--all",
	  .help = "Sources that never fired are left out unless --all is given; a device's line\n"
		  "is always shown.",
	  .example = "irq --all", .run = irq_run);
