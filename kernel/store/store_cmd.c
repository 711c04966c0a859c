/* SPDX-License-Identifier: Apache-2.0 */
/* The `volume` commands that are about whole stores. */
#include <string.h>

#include "kernel/block/block_cmd.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/table.h"
#include "kernel/marker.h"
#include "kernel/mm/heap.h"
#include "kernel/store/volume_cmd.h"
#include "kernel/uuid.h"

static void store_row(struct store_dev *s, void *arg)
{
	struct table *t = arg;
	struct store_space sp;
	struct store_info info;

	store_space_get(s->st, &sp);
	store_info_get(s->st, &info);
	table_str(t, s->name);
	table_size(t, sp.blocks << STORE_BLOCK_SHIFT);
	table_size(t, (sp.free - MIN(sp.free, sp.reserve) + sp.freed) << STORE_BLOCK_SHIFT);
	table_size(t, sp.data << STORE_BLOCK_SHIFT);
	table_size(t, sp.meta << STORE_BLOCK_SHIFT);
	table_u64(t, info.objects);
	table_str(t, info.failed ? "failed" : info.read_only ? "read-only" : "live");
}

static int volume_stores_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {
		{"disk", 0}, {"size", TABLE_RIGHT}, {"free", TABLE_RIGHT}, {"data", TABLE_RIGHT},
		{"metadata", TABLE_RIGHT}, {"objects", TABLE_RIGHT}, {"state", 0},
	};
	struct table t;

	(void)argc;
	(void)argv;
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t))
		store_each(store_row, &t);
	return 0;
}
SHELL_CMD(volume_stores, "volume stores", "list the stores that volumes are in", .flags = CMD_JSON,
	  .example = "volume stores", .run = volume_stores_run);

/* --- in detail --- */

static void stats_show(struct record *r, struct store_dev *s)
{
	struct store_stats stats;
	struct store_space sp;
	struct store_info info;

	store_space_get(s->st, &sp);
	store_info_get(s->st, &info);
	store_stats_get(s->st, &stats);
	record_str(r, "disk", s->name);
	record_str(r, "state", info.failed ? info.why : info.read_only ? "read-only" : "live");
	record_u64(r, "blocks", sp.blocks);
	record_u64(r, "free", sp.free);
	record_u64(r, "freed", sp.freed);
	record_u64(r, "reserve", sp.reserve);
	record_u64(r, "data", sp.data);
	record_u64(r, "metadata", sp.meta);
	record_u64(r, "claimed", sp.claimed);
	record_u64(r, "generation", info.gen);
	record_u64(r, "layers", info.layers);
	record_u64(r, "nodes_cached", info.cached_nodes);
	record_u64(r, "nodes_dirty", info.dirty_nodes);
	record_u64(r, "log_used", info.log_used);
	record_u64(r, "log_size", info.log_size);
	record_u64(r, "data_written", stats.data_blocks);
	record_u64(r, "metadata_written", stats.meta_blocks);
	record_u64(r, "log_written", stats.log_blocks);
	record_u64(r, "checkpoints", stats.checkpoints);
	record_u64(r, "commits", stats.commits);
	record_u64(r, "replayed", stats.replayed);
	record_u64(r, "reclaimed", stats.reclaimed);
	record_u64(r, "moved", stats.moved);
}

static int volume_stats_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	char why[STORE_WHY_LEN];
	struct store_dev *s = store_enter(argc > 0 ? argv[0] : NULL, why);
	struct record r;

	if (!s)
		return cmd_fail(ctx, -RAY_ENOENT, "%s", why);
	record_begin(&r, cmd_sink(ctx), cmd_json(ctx));
	stats_show(&r, s);
	record_end(&r);
	store_leave(s);
	return 0;
}
SHELL_CMD(volume_stats, "volume stats", "what a store has and what it has done", .args = "[DISK]",
	  .max_args = 1, .flags = CMD_JSON, .help = "In blocks of 4 KiB.", .example = "volume stats",
	  .run = volume_stats_run);

static int volume_check_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	char why[STORE_WHY_LEN];
	struct store_dev *s = store_enter(argc > 0 ? argv[0] : NULL, why);
	struct store_check c;
	struct record r;
	int err;

	if (!s)
		return cmd_fail(ctx, -RAY_ENOENT, "%s", why);
	err = store_check(s->st, &c);
	store_leave(s);
	if (err)
		return cmd_fail(ctx, err, "the store could not be looked through: %s",
				ray_strerror(err));
	record_begin(&r, cmd_sink(ctx), cmd_json(ctx));
	record_u64(&r, "nodes", c.nodes);
	record_u64(&r, "extents", c.extents);
	record_u64(&r, "data_blocks", c.data);
	record_u64(&r, "objects", c.objects);
	record_u64(&r, "wrong", c.wrong);
	if (c.wrong)
		record_str(&r, "first", c.first);
	record_end(&r);
	return c.wrong ? 1 : 0;
}
SHELL_CMD(volume_check, "volume check", "see whether everything in a store fits together",
	  .args = "[DISK]", .max_args = 1, .flags = CMD_JSON,
	  .help = "Reads all metadata and compares what is in use with what is marked so.",
	  .example = "volume check", .run = volume_check_run);

/* --- scrub --- */

static void scrub_bad(void *arg, const char *what)
{
	struct cmd_ctx *ctx = arg;

	if (!cmd_json(ctx))
		cmd_printf(ctx, "%s\n", what);
}

/* A step at a time, the store free for others in between. */
static int scrub(struct cmd_ctx *ctx, const char *disk, struct store_scrub *s, char why[STORE_WHY_LEN])
{
	struct volume_progress p = volume_progress_begin(ctx, 0);
	int more = 1, err;

	while (more == 1) {
		struct store_dev *dev = store_enter(disk, why);
		struct store_space sp;

		if (!dev)
			return -RAY_ENOENT;
		more = store_scrub_step(dev->st, s);
		store_space_get(dev->st, &sp);
		ray_snprintf(why, STORE_WHY_LEN, "%s", more < 0 ? ray_strerror(more) : dev->name);
		store_leave(dev);
		p.all = (sp.data + sp.meta) << STORE_BLOCK_SHIFT; /* at most */
		err = volume_progress(&p, s->blocks << STORE_BLOCK_SHIFT);
		if (err)
			return err;
	}
	return more;
}

static int volume_scrub_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	char why[STORE_WHY_LEN];
	struct store_scrub s;
	struct record r;
	int err = store_scrub_begin(&s, scrub_bad, ctx);

	if (err)
		return err;
	err = scrub(ctx, argc > 0 ? argv[0] : NULL, &s, why);
	store_scrub_end(&s);
	if (err)
		return err == -RAY_ECANCELED ? err : cmd_fail(ctx, err, "%s", why);
	record_begin(&r, cmd_sink(ctx), cmd_json(ctx));
	record_u64(&r, "blocks", s.blocks);
	record_u64(&r, "data_blocks", s.data);
	record_u64(&r, "wrong", s.wrong);
	record_end(&r);
	marker_print(MARKER_STORE_SCRUBBED, "disk=%s blocks=%lu wrong=%lu", why,
		     (unsigned long)s.blocks, (unsigned long)s.wrong);
	return s.wrong ? 1 : 0;
}
SHELL_CMD(volume_scrub, "volume scrub", "read again everything that has a checksum",
	  .args = "[DISK]", .max_args = 1, .flags = CMD_JSON,
	  .help = "Names what is not what was written: all metadata, and data of volumes with\n"
		  "checksums. Guests go on meanwhile. Ctrl-C ends it.",
	  .example = "volume scrub", .run = volume_scrub_run);

/* --- making, mounting --- */

static int format(struct block_dev *dev)
{
	struct store_dev *s = store_dev_create(dev);
	struct store_port port;
	uint8_t uuid[16];
	int err = s ? block_claim(dev, "format") : -RAY_ENOMEM;

	if (!err) {
		port = store_dev_port(s);
		uuid_make(uuid);
		err = store_format(&port, uuid);
		block_release(dev);
	}
	kfree(s);
	return err;
}

static int attach(struct cmd_ctx *ctx, struct block_dev *dev)
{
	char why[STORE_WHY_LEN];
	int err = store_attach(dev, why);

	return err ? cmd_fail(ctx, err, "'%s' was not mounted: %s", block_ident(dev)->name, why) : 0;
}

static int volume_format_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct block_dev *dev = block_cmd_named(ctx, argv[0]);
	int err;

	(void)argc;
	if (!dev)
		return -RAY_ENOENT;
	err = format(dev);
	if (err == -RAY_EBUSY)
		cmd_fail(ctx, err, "'%s' is in use; see `disk list`", argv[0]);
	else if (err == -RAY_ERANGE)
		cmd_fail(ctx, err, "'%s' has less than 32 MiB, or more than 1 PiB", argv[0]);
	else if (err)
		cmd_fail(ctx, err, "'%s': %s", argv[0], ray_strerror(err));
	if (!err)
		err = attach(ctx, dev);
	block_put(dev);
	return err;
}
SHELL_CMD(volume_format, "volume format", "make an empty store on a partition", .args = "PARTITION",
	  .min_args = 1, .max_args = 1, .flags = CMD_CONFIRM,
	  .help = "What is on it is lost. Stores on partitions of type `rayos` are mounted at each start.",
	  .example = "volume format nvme0n1p2 --yes", .run = volume_format_run);

static int volume_mount_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct block_dev *dev = block_cmd_named(ctx, argv[0]);
	int err;

	(void)argc;
	if (!dev)
		return -RAY_ENOENT;
	err = attach(ctx, dev);
	block_put(dev);
	return err;
}
SHELL_CMD(volume_mount, "volume mount", "use the store on a partition or disk", .args = "PARTITION",
	  .min_args = 1, .max_args = 1, .example = "volume mount nvme0n1p2", .run = volume_mount_run);

static int volume_unmount_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	char why[STORE_WHY_LEN];
	int err = store_detach(argv[0], why);

	(void)argc;
	return err ? cmd_fail(ctx, err, "%s", why) : 0;
}
SHELL_CMD(volume_unmount, "volume unmount", "write a store out and leave its disk alone",
	  .args = "PARTITION", .min_args = 1, .max_args = 1,
	  .help = "None of its volumes may be in use.", .example = "volume unmount nvme0n1p2",
	  .run = volume_unmount_run);
