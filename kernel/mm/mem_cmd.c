/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mem`: where memory is. Context: the shell's thread.
 */
#include "kernel/cmd.h"
#include "kernel/lib/table.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"

static void json_totals(struct json *j, const struct page_stats *p)
{
	json_u64(j, "total", p->total);
	json_u64(j, "free", p->free);
	json_u64(j, "used", p->total - p->free - p->reserved);
	json_u64(j, "reserved", p->reserved);
	json_u64(j, "dirty", p->dirty);
	json_u64(j, "zeroed", p->zeroed);
	json_u64(j, "heap", heap_footprint());
}

static void json_all(struct json *j, const struct page_stats *p)
{
	struct heap_tag_stats s;

	json_object(j, NULL);
	json_totals(j, p);
	json_array(j, "tags");
	for (int t = 0; t < MEM_TAG_COUNT; t++) {
		heap_stats_get((enum mem_tag)t, &s);
		json_object(j, NULL);
		json_str(j, "tag", s.name);
		json_u64(j, "bytes", s.bytes);
		json_u64(j, "objects", s.allocs);
		json_u64(j, "since_boot", s.total);
		json_end(j);
	}
	json_end(j);
	json_finish(j);
}

static void kib_line(struct cmd_ctx *ctx, const char *name, uint64_t bytes, const char *note)
{
	cmd_printf(ctx, "%-10s%12lu KiB  %s\n", name, bytes >> 10, note);
}

static int mem_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {
		{ "heap_tag", 0 },
		{ "bytes", TABLE_RIGHT },
		{ "objects", TABLE_RIGHT },
		{ "since_boot", TABLE_RIGHT },
	};
	struct heap_tag_stats s;
	struct page_stats p;
	struct table t;

	(void)argc;
	(void)argv;
	page_stats_get(&p);
	if (cmd_json(ctx)) {
		struct json j;

		json_init(&j, cmd_sink(ctx));
		json_all(&j, &p);
		return 0;
	}
	kib_line(ctx, "total", p.total, "RAM");
	kib_line(ctx, "free", p.free, "to be had now");
	kib_line(ctx, "used", p.total - p.free - p.reserved, "guests, heap, stacks, tables");
	kib_line(ctx, "reserved", p.reserved, "kernel image, modules, page table of the allocator");
	kib_line(ctx, "dirty", p.dirty, "of the free: waits to be scrubbed");
	kib_line(ctx, "zeroed", p.zeroed, "of the free: known to be zero");
	kib_line(ctx, "heap", heap_footprint(), "of the used");
	cmd_printf(ctx, "\n");
	table_init(&t, cmd_sink(ctx), false, cols, ARRAY_SIZE(cols));
	while (table_pass(&t)) {
		for (int i = 0; i < MEM_TAG_COUNT; i++) {
			heap_stats_get((enum mem_tag)i, &s);
			if (s.total == 0)
				continue;
			table_str(&t, s.name);
			table_u64(&t, s.bytes);
			table_u64(&t, s.allocs);
			table_u64(&t, s.total);
		}
	}
	return 0;
}

SHELL_CMD(mem, "mem", "show memory: free, dirty, reserved, heap by owner",
	  .flags = CMD_JSON, .example = "mem", .run = mem_run);

static int mem_map_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {
		{ "first", TABLE_RIGHT },
		{ "last", TABLE_RIGHT },
		{ "size", TABLE_RIGHT },
		{ "type", 0 },
	};
	const struct memmap *m = mm_map();
	struct table t;

	(void)argc;
	(void)argv;
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t)) {
		for (uint32_t i = 0; i < m->count; i++) {
			table_hex(&t, m->r[i].base);
			table_hex(&t, m->r[i].base + m->r[i].len - 1);
			table_size(&t, m->r[i].len);
			table_str(&t, memmap_type_name(m->r[i].type));
		}
	}
	return 0;
}

SHELL_CMD(mem_map, "mem map", "show the physical memory map in use",
	  .flags = CMD_JSON, .example = "mem map", .run = mem_map_run);
