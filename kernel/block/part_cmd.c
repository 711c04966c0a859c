/* SPDX-License-Identifier: Apache-2.0 */
/* `disk label`, `disk add`, `disk remove`: making and changing partition tables. */
#include <string.h>

#include "kernel/block/block_cmd.h"
#include "kernel/block/block_priv.h"
#include "kernel/block/gpt.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/parse.h"
#include "kernel/lib/utf8.h"
#include "kernel/mm/heap.h"
#include "kernel/uuid.h"

/* The table of a whole disk that is ours for the time. */
struct table_edit {
	struct block_dev *dev;
	struct gpt *gpt;
};

static int edit_end(struct table_edit *e, int err)
{
	if (e->dev) {
		block_release(e->dev);
		block_put(e->dev);
	}
	kfree(e->gpt);
	return err;
}

static int edit_claim(struct cmd_ctx *ctx, struct table_edit *e)
{
	int err;

	if (e->dev->whole)
		err = cmd_fail(ctx, -RAY_EINVAL, "'%s' is a partition; name its disk",
			       e->dev->ident.name);
	else if (block_claim(e->dev, "partitioning"))
		err = cmd_fail(ctx, -RAY_EBUSY, "'%s' is in use; see `disk list`", e->dev->ident.name);
	else
		return 0;
	block_put(e->dev);
	e->dev = NULL;
	return err;
}

/* @dev: with a reference, which is taken over. */
static int edit_begin(struct cmd_ctx *ctx, struct block_dev *dev, bool anew, struct table_edit *e)
{
	char why[96];
	int err;

	*e = (struct table_edit){.dev = dev, .gpt = kzalloc(sizeof(*e->gpt), MEM_BLOCK)};
	err = edit_claim(ctx, e);
	if (err || !e->gpt)
		return edit_end(e, err ? err : -RAY_ENOMEM);
	if (anew) {
		uuid_make(e->gpt->disk.b);
		return 0;
	}
	err = block_table_read(dev, e->gpt, why, sizeof(why));
	if (err == -RAY_ENOENT)
		err = cmd_fail(ctx, err, "'%s' has no partition table; `disk label` makes one",
			       dev->ident.name);
	else if (err)
		err = cmd_fail(ctx, err, "the table of '%s' cannot be read: %s", dev->ident.name,
			       err == -RAY_ENOEXEC ? why : ray_strerror(err));
	else if (e->gpt->damage[0])
		err = cmd_fail(ctx, -RAY_EINVAL, "the table of '%s' is damaged (%s); see `disk repair`",
			       dev->ident.name, e->gpt->damage);
	return err ? edit_end(e, err) : 0;
}

/* Write it and find the partitions anew. */
static int edit_finish(struct cmd_ctx *ctx, struct table_edit *e)
{
	int err = block_table_write(e->dev, e->gpt);

	if (err == -RAY_ENOSPC)
		err = cmd_fail(ctx, err, "'%s' is too small for a table, or has a partition where the "
			       "table belongs", e->dev->ident.name);
	else if (err)
		err = cmd_fail(ctx, err, "the table of '%s' was not written: %s", e->dev->ident.name,
			       ray_strerror(err));
	block_parts_leave(e->dev);
	block_parts_scan(e->dev);
	return edit_end(e, err);
}

static int disk_label_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct block_dev *d = block_cmd_named(ctx, argv[0]);
	struct table_edit e;
	int err;

	(void)argc;
	if (!d)
		return -RAY_ENOENT;
	err = edit_begin(ctx, d, true, &e);
	return err ? err : edit_finish(ctx, &e);
}
SHELL_CMD(disk_label, "disk label", "write an empty partition table (GPT)", .args = "NAME",
	  .min_args = 1, .max_args = 1, .flags = CMD_CONFIRM,
	  .help = "What was on the disk cannot be reached any more. The disk must not be in use.",
	  .example = "disk label nvme0n1 --yes", .complete = block_cmd_complete,
	  .run = disk_label_run);

static int part_take(struct cmd_ctx *ctx, const char *size, uint64_t *bytes, struct gpt_part *p)
{
	const char *type = cmd_option(ctx, "--type"), *name = cmd_option(ctx, "--name");

	*bytes = 0;
	if (strcmp(size, "rest") != 0 && (parse_size(size, bytes) || *bytes == 0))
		return cmd_fail(ctx, -RAY_EINVAL, "'%s' is neither a size such as 20G nor 'rest'", size);
	if (!gpt_type_find(type ? type : "rayos", &p->type))
		return cmd_fail(ctx, -RAY_EINVAL,
				"'%s' is no type; there are rayos, linux, linux-swap, efi-system, "
				"basic-data, bios-boot", type);
	if (name && (strlen(name) >= GPT_NAME_LEN || !utf8_valid(name, strlen(name))))
		return cmd_fail(ctx, -RAY_EINVAL, "the name is longer than 36 characters");
	strlcpy(p->name, name ? name : "", sizeof(p->name));
	uuid_make(p->id.b);
	return 0;
}

static int disk_add_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct gpt_part p = {.number = 0};
	struct gpt_source s;
	struct table_edit e;
	struct block_dev *d;
	uint64_t bytes;
	int err = part_take(ctx, argv[1], &bytes, &p);

	(void)argc;
	if (err)
		return err;
	d = block_cmd_named(ctx, argv[0]);
	if (!d)
		return -RAY_ENOENT;
	err = edit_begin(ctx, d, false, &e);
	if (err)
		return err;
	s = block_table_source(d);
	if (gpt_add(&s, e.gpt, bytes, &p))
		return edit_end(&e, cmd_fail(ctx, -RAY_ENOSPC, "'%s' has no room for that in one "
						     "piece; see `disk part`", argv[0]));
	err = edit_finish(ctx, &e);
	if (!err)
		cmd_printf(ctx, "partition %u: %lu MiB\n", p.number,
			   (unsigned long)(p.blocks * s.logical >> 20));
	return err;
}
SHELL_CMD(disk_add, "disk add", "make a partition", .args = "NAME SIZE", .min_args = 2,
	  .max_args = 2, .options = "--type= --name=",
	  .help = "SIZE is 20G, say, or 'rest'. Types: rayos (for a store of volumes, if none is\n"
		  "given), linux, linux-swap, efi-system, basic-data, bios-boot. The disk must not be\n"
		  "in use.",
	  .example = "disk add nvme0n1 rest --type=rayos --name=store",
	  .complete = block_cmd_complete, .run = disk_add_run);

static int disk_remove_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct block_dev *d = block_cmd_named(ctx, argv[0]);
	struct table_edit e;
	unsigned int number;
	int err;

	(void)argc;
	if (!d)
		return -RAY_ENOENT;
	number = d->part;
	if (!d->whole) {
		block_put(d);
		return cmd_fail(ctx, -RAY_EINVAL, "'%s' is a disk; name one of its partitions", argv[0]);
	}
	block_ref(d->whole);
	err = edit_begin(ctx, d->whole, false, &e);
	block_put(d);
	if (err)
		return err;
	err = gpt_remove(e.gpt, number);
	return err ? edit_end(&e, err) : edit_finish(ctx, &e);
}
SHELL_CMD(disk_remove, "disk remove", "take a partition out of the table", .args = "NAME",
	  .min_args = 1, .max_args = 1, .flags = CMD_CONFIRM,
	  .help = "Its data stays on the disk, and nobody finds it. The disk must not be in use.",
	  .example = "disk remove nvme0n1p1 --yes", .complete = block_cmd_complete,
	  .run = disk_remove_run);
