/* SPDX-License-Identifier: Apache-2.0 */
/* The shell's view of threads. */
#include "kernel/cmd.h"
#include "kernel/lib/table.h"
#include "kernel/mm/heap.h"
#include "kernel/sched/thread_list.h"
#include "kernel/time/time.h"

#define SPARE 16u /* threads that may appear between counting and copying */

static void table_fill(struct table *t, const struct thread_info *info, size_t n)
{
	while (table_pass(t)) {
		for (size_t i = 0; i < n; i++) {
			table_str(t, info[i].name);
			table_u64(t, info[i].cpu);
			table_bool(t, info[i].pinned);
			table_str(t, info[i].cls);
			table_str(t, info[i].state);
			table_u64(t, info[i].runtime_ns / 1000);
			table_u64(t, info[i].switches);
		}
	}
}

static int threads_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {
		{ "name", 0 },	{ "cpu", TABLE_RIGHT },	       { "pinned", 0 },
		{ "class", 0 }, { "state", 0 },		       { "cpu_time_us", TABLE_RIGHT },
		{ "switches", TABLE_RIGHT },
	};
	size_t max = thread_list(NULL, 0) + SPARE, n;
	struct thread_info *info = kcalloc(max, sizeof(*info), MEM_SHELL);
	struct table t;

	(void)argc;
	(void)argv;
	if (!info)
		return -RAY_ENOMEM;
	n = thread_list(info, max);
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	table_fill(&t, info, MIN(n, max));
	kfree(info);
	return 0;
}

SHELL_CMD(threads, "threads", "list kernel threads", .flags = CMD_JSON,
	  .help = "Virtual CPUs are threads of class normal; workers run before them.",
	  .example = "threads", .run = threads_run);
