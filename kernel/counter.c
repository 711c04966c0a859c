/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/counter.h"

#include <string.h>

#include "kernel/cmd.h"
#include "kernel/lib/table.h"
#include "kernel/mm/heap.h"

static size_t counter_count(void)
{
	return (size_t)(__stop_rayos_counters - __start_rayos_counters);
}

uint64_t counter_read(const struct counter *const *slot)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < cpu_count(); i++)
		sum += __atomic_load_n(&cpu_get(i)->counters[slot - __start_rayos_counters],
				       __ATOMIC_RELAXED);
	return sum;
}

int counter_cpu_prepare(unsigned int cpu)
{
	struct cpu *c = cpu_get(cpu);

	if (!c->counters)
		c->counters = kcalloc(counter_count(), sizeof(*c->counters), MEM_KERNEL);
	return c->counters ? 0 : -RAY_ENOMEM;
}

static int stats_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {
		{ "name", 0 }, { "value", TABLE_RIGHT }, { "meaning", 0 },
	};
	const char *prefix = argc > 0 ? argv[0] : "";
	struct table t;

	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t)) {
		for (const struct counter *const *s = __start_rayos_counters;
		     s < __stop_rayos_counters; s++) {
			if (strncmp((*s)->name, prefix, strlen(prefix)) != 0)
				continue;
			table_str(&t, (*s)->name);
			table_u64(&t, counter_read(s));
			table_str(&t, (*s)->meaning);
		}
	}
	return 0;
}

SHELL_CMD(stats, "stats", "show event counters", .args = "[PREFIX]", .max_args = 1,
	  .flags = CMD_JSON, .help = "All that begin with PREFIX, summed over the CPUs.",
	  .example = "stats sched", .run = stats_run);
