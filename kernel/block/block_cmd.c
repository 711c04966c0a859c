/* SPDX-License-Identifier: Apache-2.0 */
/* The `disk` commands: which disks there are, one in detail, its partitions, its bytes. */
#include <string.h>

#include "kernel/block/block_cmd.h"
#include "kernel/block/block_priv.h"
#include "kernel/block/gpt.h"
#include "kernel/cmd.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/parse.h"
#include "kernel/lib/table.h"
#include "kernel/mm/heap.h"

#define DUMP_LINE 16u
#define DUMP_MAX  KIB(4)

static const char *state_text(const struct block_dev *d)
{
	static const char *const names[] = {"live", "failed", "gone"};

	return names[block_state(d)];
}

void block_cmd_complete(struct cmd_complete *c, int arg)
{
	struct block_dev *d = NULL;

	while (arg == 0 && (d = block_next(d)) != NULL)
		cmd_complete_add(c, block_ident(d)->name);
}

struct block_dev *block_cmd_named(struct cmd_ctx *ctx, const char *name)
{
	struct block_dev *d = block_get(name);

	if (!d)
		cmd_fail(ctx, -RAY_ENOENT, "no disk is named '%s'; see `disk list`", name);
	return d;
}

static void list_row(struct table *t, const struct block_dev *d)
{
	const char *owner = block_owner(d);

	table_str(t, d->ident.name);
	table_size(t, d->ident.size);
	table_u64(t, d->limits.logical);
	table_str(t, d->ident.driver);
	table_str(t, state_text(d));
	table_str(t, owner ? owner : "-");
	table_str(t, d->whole ? "-" : d->ident.model);
	table_str(t, d->whole ? "-" : d->ident.serial);
}

static int disk_list_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {
		{"name", 0},  {"size", TABLE_RIGHT}, {"block", TABLE_RIGHT}, {"driver", 0},
		{"state", 0}, {"used_by", 0},	     {"model", 0},	     {"serial", 0},
	};
	struct table t;

	(void)argc;
	(void)argv;
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t)) {
		struct block_dev *d = NULL;

		while ((d = block_next(d)) != NULL)
			list_row(&t, d);
	}
	return 0;
}
SHELL_CMD(disk_list, "disk list", "list the host's disks and their partitions", .flags = CMD_JSON,
	  .example = "disk list", .run = disk_list_run);

/* --- one in detail --- */

static const char *const op_names[BLOCK_OP_COUNT] = {"read", "write", "flush", "discard", "zero"};

static void stats_show(struct record *r, const struct block_stats *s)
{
	char key[32];

	for (unsigned int i = 0; i < BLOCK_OP_COUNT; i++) {
		if (s->ops[i] == 0)
			continue;
		ray_snprintf(key, sizeof(key), "%s_ops", op_names[i]);
		record_u64(r, key, s->ops[i]);
		ray_snprintf(key, sizeof(key), "%s_bytes", op_names[i]);
		record_u64(r, key, s->bytes[i]);
		ray_snprintf(key, sizeof(key), "%s_us_mean", op_names[i]);
		record_u64(r, key, s->ns_total[i] / s->ops[i] / 1000);
	}
	record_u64(r, "in_flight", s->in_flight);
	record_u64(r, "errors", s->errors);
	record_u64(r, "repeats", s->repeats);
	record_u64(r, "timeouts", s->timeouts);
	record_u64(r, "split", s->split);
	record_u64(r, "merged", s->merged);
	record_u64(r, "bounced", s->bounced);
}

static int disk_info_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct block_dev *d = block_cmd_named(ctx, argv[0]);
	const char *owner;
	struct block_stats s;
	struct record r;

	(void)argc;
	if (!d)
		return -RAY_ENOENT;
	owner = block_owner(d);
	block_stats_get(d, &s);
	record_begin(&r, cmd_sink(ctx), cmd_json(ctx));
	record_str(&r, "name", d->ident.name);
	record_str(&r, "driver", d->ident.driver);
	record_str(&r, "model", d->ident.model);
	record_str(&r, "serial", d->ident.serial);
	record_str(&r, "firmware", d->ident.firmware);
	record_size(&r, "size", d->ident.size);
	record_str(&r, "state", state_text(d));
	record_str(&r, "used_by", owner ? owner : "-");
	record_u64(&r, "logical_block", d->limits.logical);
	record_u64(&r, "physical_block", d->limits.physical);
	record_size(&r, "command_bytes", d->limits.bytes_max);
	record_u64(&r, "command_pieces", d->limits.segs_max);
	record_u64(&r, "depth", d->queue->depth);
	record_bool(&r, "cache", d->limits.cache);
	record_bool(&r, "fua", d->limits.fua);
	record_bool(&r, "discard", d->limits.discard_max != 0);
	record_bool(&r, "read_only", d->limits.read_only);
	stats_show(&r, &s);
	record_end(&r);
	block_put(d);
	return 0;
}
SHELL_CMD(disk_info, "disk info", "what a disk is and what it has done", .args = "NAME",
	  .min_args = 1, .max_args = 1, .flags = CMD_JSON, .example = "disk info nvme0n1",
	  .complete = block_cmd_complete, .run = disk_info_run);

static void health_show(struct cmd_ctx *ctx, const struct block_health *h)
{
	struct record r;

	record_begin(&r, cmd_sink(ctx), cmd_json(ctx));
	record_bool(&r, "failing", h->failing);
	record_u64(&r, "wear_percent", h->wear_percent);
	if (h->celsius != INT16_MIN)
		record_fmt(&r, "celsius", "%d", h->celsius);
	record_u64(&r, "power_on_hours", h->power_on_hours);
	record_u64(&r, "media_errors", h->media_errors);
	record_u64(&r, "unsafe_shutdowns", h->unsafe_shutdowns);
	record_size(&r, "bytes_read", h->bytes_read);
	record_size(&r, "bytes_written", h->bytes_written);
	record_end(&r);
}

static int disk_smart_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct block_dev *d = block_cmd_named(ctx, argv[0]);
	struct block_health h;
	int err;

	(void)argc;
	if (!d)
		return -RAY_ENOENT;
	err = block_health_get(d, &h);
	if (!err)
		health_show(ctx, &h);
	else if (err == -RAY_ENOSYS)
		cmd_fail(ctx, err, "'%s' says nothing of its health", d->ident.name);
	block_put(d);
	return err;
}
SHELL_CMD(disk_smart, "disk smart", "what a disk says of its own health", .args = "NAME",
	  .min_args = 1, .max_args = 1, .flags = CMD_JSON,
	  .help = "Wear is of the writes it is rated for; a disk that is failing is to be replaced.",
	  .example = "disk smart nvme0n1", .complete = block_cmd_complete, .run = disk_smart_run);

/* --- partitions --- */

static int repair(struct cmd_ctx *ctx, struct block_dev *d)
{
	char what[160];
	int err;

	if (d->whole)
		return cmd_fail(ctx, -RAY_EINVAL, "'%s' is a partition; name its disk",
				d->ident.name);
	err = block_claim(d, "repair");
	if (err)
		return cmd_fail(ctx, err, "'%s' is in use; see `disk list`", d->ident.name);
	err = block_table_repair(d, what, sizeof(what));
	block_release(d);
	if (err)
		return cmd_fail(ctx, err, "'%s' was not repaired (%s): %s", d->ident.name,
				ray_strerror(err), what);
	sink_printf(cmd_sink(ctx), "%s\n", what);
	return 0;
}

static int disk_repair_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct block_dev *d = block_cmd_named(ctx, argv[0]);
	int err;

	(void)argc;
	if (!d)
		return -RAY_ENOENT;
	err = repair(ctx, d);
	block_put(d);
	return err;
}
SHELL_CMD(disk_repair, "disk repair", "make the damaged copy of a partition table anew",
	  .args = "NAME", .min_args = 1, .max_args = 1,
	  .help = "A GPT stands on a disk twice. Where one copy is damaged it is written anew from\n"
		  "the other; where both are whole nothing is done. The disk must not be in use.",
	  .example = "disk repair nvme0n1", .complete = block_cmd_complete, .run = disk_repair_run);

static void part_row(struct table *t, const struct gpt_part *p, uint32_t logical)
{
	char text[GPT_TEXT_LEN];
	const char *type = gpt_type_name(&p->type);

	gpt_guid_text(&p->type, text);
	table_u64(t, p->number);
	table_u64(t, p->first);
	table_size(t, p->blocks * logical);
	table_str(t, *type ? type : text);
	table_str(t, p->name);
}

static int disk_part_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {{"number", TABLE_RIGHT}, {"first_block", TABLE_RIGHT},
						{"size", TABLE_RIGHT},	 {"type", 0}, {"name", 0}};
	struct block_dev *d = block_cmd_named(ctx, argv[0]);
	struct gpt *gpt;
	struct table t;
	char why[96];
	int err;

	(void)argc;
	if (!d)
		return -RAY_ENOENT;
	gpt = kmalloc(sizeof(*gpt), MEM_SHELL);
	err = gpt ? block_table_read(d, gpt, why, sizeof(why)) : -RAY_ENOMEM;
	if (!err) {
		table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
		while (table_pass(&t))
			for (unsigned int i = 0; i < gpt->count; i++)
				part_row(&t, &gpt->part[i], d->limits.logical);
		if (gpt->damage[0] && !cmd_json(ctx))
			cmd_printf(ctx, "%s: %s\n", gpt->backup ? "read from the backup" : "damaged",
				   gpt->damage);
	} else if (gpt) {
		cmd_fail(ctx, err, "'%s' has no partitions: %s", d->ident.name, why);
	}
	kfree(gpt);
	block_put(d);
	return err;
}
SHELL_CMD(disk_part, "disk part", "read a disk's partition table (GPT)", .args = "NAME",
	  .min_args = 1, .max_args = 1, .flags = CMD_JSON,
	  .help = "Says what is wrong when one of its two copies is damaged.",
	  .example = "disk part nvme0n1", .complete = block_cmd_complete, .run = disk_part_run);

/* --- bytes --- */

static void dump_line(struct cmd_ctx *ctx, uint64_t off, const uint8_t *p, uint64_t len)
{
	cmd_printf(ctx, "%010lx ", (unsigned long)off);
	for (uint64_t i = 0; i < DUMP_LINE; i++) {
		if (i < len)
			cmd_printf(ctx, " %02x", p[i]);
		else
			cmd_printf(ctx, "   ");
	}
	cmd_printf(ctx, "  ");
	for (uint64_t i = 0; i < len; i++)
		cmd_printf(ctx, "%c", p[i] >= 0x20 && p[i] < 0x7f ? p[i] : '.');
	cmd_printf(ctx, "\n");
}

static int dump(struct cmd_ctx *ctx, struct block_dev *d, uint64_t off, uint64_t len)
{
	uint64_t from = ALIGN_DOWN(off, (uint64_t)d->limits.logical);
	uint64_t to = ALIGN_UP(off + len, (uint64_t)d->limits.logical);
	uint8_t *buf = kmalloc(to - from, MEM_SHELL);
	int err = buf ? block_read(d, from, buf, to - from) : -RAY_ENOMEM;

	for (uint64_t at = 0; !err && at < len; at += DUMP_LINE)
		dump_line(ctx, off + at, buf + (off - from) + at, MIN(len - at, DUMP_LINE));
	kfree(buf);
	return err;
}

static int disk_dump_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	uint64_t off = 0, len = 512;
	struct block_dev *d;
	int err = argc > 1 ? parse_size(argv[1], &off) : 0;

	if (!err && argc > 2)
		err = parse_size(argv[2], &len);
	if (err || len == 0 || len > DUMP_MAX)
		return cmd_fail(ctx, -RAY_EINVAL, "an offset and 1 to 4096 bytes, like 64K 512");
	d = block_cmd_named(ctx, argv[0]);
	if (!d)
		return -RAY_ENOENT;
	if (off > d->ident.size || len > d->ident.size - off)
		err = cmd_fail(ctx, -RAY_ERANGE, "'%s' ends at %lu", d->ident.name,
			       (unsigned long)d->ident.size);
	else
		err = dump(ctx, d, off, len);
	block_put(d);
	return err;
}
SHELL_CMD(disk_dump, "disk dump", "show bytes of a disk", .args = "NAME [OFFSET [BYTES]]",
	  .min_args = 1, .max_args = 3, .example = "disk dump nvme0n1 0 64",
	  .complete = block_cmd_complete, .run = disk_dump_run);
