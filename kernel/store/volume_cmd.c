/* SPDX-License-Identifier: Apache-2.0 */
/* The `volume` commands: what there is, and changes. All of them are kept when they return. */
#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/cmd.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/parse.h"
#include "kernel/lib/table.h"
#include "kernel/store/volume_cmd.h"

/* --- names --- */

static void complete_one(struct store_dev *s, void *arg)
{
	struct store_entry e;

	for (uint32_t id = 0; store_next(s->st, id, &e) == 0; id = e.id) {
		if (e.kind == STORE_VOLUME)
			cmd_complete_add(arg, e.name);
	}
}

void volume_cmd_complete(struct cmd_complete *c, int arg)
{
	if (arg == 0)
		store_each(complete_one, c);
}

int volume_cmd_find(struct cmd_ctx *ctx, const char *name, struct volume_ref *ref)
{
	char why[STORE_WHY_LEN];
	int err = volume_find(name, ref, why);

	return err ? cmd_fail(ctx, err, "%s", why) : 0;
}

/* What a change came to; after success, kept. The store's lock is let go. */
int volume_cmd_end(struct cmd_ctx *ctx, struct store_dev *s, const char *name, int err)
{
	struct store_info info;
	char why[STORE_WHY_LEN];

	if (!err)
		err = store_commit(s->st);
	store_info_get(s->st, &info);
	ray_snprintf(why, sizeof(why), "%s", info.why);
	s->reclaim = true;
	store_leave(s);
	store_wake(s);
	if (!err)
		return 0;
	if (info.failed)
		return cmd_fail(ctx, err, "the store failed: %s", why);
	if (err == -RAY_EBUSY)
		return cmd_fail(ctx, err, "'%s' is in use, or has snapshots; see `volume list`", name);
	if (err == -RAY_EEXIST)
		return cmd_fail(ctx, err, "there is one of that name; see `volume list`");
	if (err == -RAY_ENOSPC)
		return cmd_fail(ctx, err, "the store is full; see `volume stores`");
	if (err == -RAY_ERANGE)
		return cmd_fail(ctx, err, "a volume has 512 bytes to 4 PiB");
	return cmd_fail(ctx, err, "'%s': %s", name, ray_strerror(err));
}

int volume_cmd_name(struct cmd_ctx *ctx, enum store_kind kind, const char *name)
{
	char why[STORE_WHY_LEN];
	int err = store_name_check(kind, name, strlen(name), why);

	return err ? cmd_fail(ctx, err, "'%s': %s", name, why) : 0;
}

int volume_cmd_place(struct cmd_ctx *ctx, const char *text, struct volume_place *out)
{
	const char *colon = strchr(text, ':'), *name = text;
	int err;

	out->disk[0] = '\0';
	if (colon && (size_t)(colon - text) < sizeof(out->disk)) {
		memcpy(out->disk, text, (size_t)(colon - text));
		out->disk[colon - text] = '\0';
		name = colon + 1;
	}
	err = volume_cmd_name(ctx, STORE_VOLUME, name);
	if (!err)
		strlcpy(out->name, name, sizeof(out->name));
	return err;
}

/* --- list --- */

static void list_row(struct table *t, struct store_dev *s, const struct store_entry *e)
{
	struct store_entry of;
	bool snapshot = e->kind == STORE_SNAPSHOT;

	if (snapshot && store_entry(s->st, e->origin, &of) == 0)
		table_fmt(t, "%s@%s", of.name, e->name);
	else
		table_str(t, e->name);
	table_str(t, snapshot ? "snapshot" : "volume");
	table_size(t, e->size);
	table_size(t, e->own);
	table_u64(t, e->snapshots);
	table_str(t, e->flags & STORE_F_SUMS ? "yes" : "no");
	table_str(t, snapshot ? "-" : e->flags & STORE_F_PAUSE ? "pause" : "fail");
	table_str(t, e->users ? "yes" : "no");
	table_str(t, s->name);
}

/* A volume, and its snapshots behind it. */
static void list_store(struct store_dev *s, void *arg)
{
	struct store_entry e, snap;

	for (uint32_t id = 0; store_next(s->st, id, &e) == 0; id = e.id) {
		if (e.kind != STORE_VOLUME)
			continue;
		list_row(arg, s, &e);
		for (uint32_t i = 0; e.snapshots > 0 && store_next(s->st, i, &snap) == 0; i = snap.id) {
			if (snap.kind == STORE_SNAPSHOT && snap.origin == e.id)
				list_row(arg, s, &snap);
		}
	}
}

static int volume_list_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {
		{"name", 0}, {"kind", 0}, {"size", TABLE_RIGHT}, {"own", TABLE_RIGHT},
		{"snapshots", TABLE_RIGHT}, {"checksums", 0}, {"when_full", 0}, {"in_use", 0},
		{"store", 0},
	};
	struct table t;

	(void)argc;
	(void)argv;
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t))
		store_each(list_store, &t);
	return 0;
}
SHELL_CMD(volume_list, "volume list", "list volumes and their snapshots", .flags = CMD_JSON,
	  .help = "`own` is what only that one has: at least so much is free when it is deleted.",
	  .example = "volume list", .run = volume_list_run);

/* --- changes --- */

static int size_take(struct cmd_ctx *ctx, const char *text, uint64_t *out)
{
	int err = parse_size(text, out);

	if (err || *out == 0 || *out % VOLUME_SECTOR || *out > STORE_VOLUME_MAX)
		return cmd_fail(ctx, -RAY_EINVAL, "a size of 512 bytes to 4 PiB, like 10G, not '%s'",
				text);
	return 0;
}

/* What a new name is for, and the volume or snapshot it comes from. */
static int named(struct cmd_ctx *ctx, enum store_kind kind, char **argv, struct volume_ref *ref)
{
	int err = volume_cmd_name(ctx, kind, argv[1]);

	return err ? err : volume_cmd_find(ctx, argv[0], ref);
}

static int volume_create_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	uint32_t flags = cmd_option(ctx, "--checksums") ? STORE_F_SUMS : 0, id;
	char why[STORE_WHY_LEN];
	struct volume_place to;
	struct store_dev *s;
	uint64_t size = 0;
	int err = size_take(ctx, argv[1], &size);

	(void)argc;
	if (!err)
		err = volume_cmd_place(ctx, argv[0], &to);
	if (err)
		return err;
	s = store_enter(to.disk[0] ? to.disk : NULL, why);
	if (!s)
		return cmd_fail(ctx, -RAY_ENOENT, "%s", why);
	err = store_create(s->st, STORE_VOLUME, to.name, size, flags, &id);
	return volume_cmd_end(ctx, s, to.name, err);
}
SHELL_CMD(volume_create, "volume create", "make a volume", .args = "NAME SIZE", .min_args = 2,
	  .max_args = 2, .options = "--checksums",
	  .help = "It takes no space until it is written to. --checksums keeps one of each block of\n"
		  "data: what the disk gives back wrongly is an error then, not data.",
	  .example = "volume create root 10G", .run = volume_create_run);

static int volume_delete_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct volume_ref ref;
	int err = volume_cmd_find(ctx, argv[0], &ref);

	(void)argc;
	return err ? err : volume_cmd_end(ctx, ref.s, argv[0], store_delete(ref.s->st, ref.e.id));
}
SHELL_CMD(volume_delete, "volume delete", "delete a volume or a snapshot",
	  .args = "NAME[@SNAPSHOT]", .min_args = 1, .max_args = 1, .flags = CMD_CONFIRM,
	  .help = "Its space is given back in the background.", .example = "volume delete root --yes",
	  .complete = volume_cmd_complete, .run = volume_delete_run);

static int volume_resize_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct volume_ref ref;
	uint64_t size = 0;
	int err = size_take(ctx, argv[1], &size);

	(void)argc;
	if (err)
		return err;
	err = volume_cmd_find(ctx, argv[0], &ref);
	if (err)
		return err;
	if (size < ref.e.size &&
	    !cmd_confirm(ctx, "What is behind the new end of '%s' is lost. Go on?", argv[0])) {
		store_leave(ref.s);
		return 1;
	}
	return volume_cmd_end(ctx, ref.s, argv[0], store_resize(ref.s->st, ref.e.id, size));
}
SHELL_CMD(volume_resize, "volume resize", "make a volume larger or smaller", .args = "NAME SIZE",
	  .min_args = 2, .max_args = 2, .help = "It must not be in use.",
	  .example = "volume resize root 20G", .complete = volume_cmd_complete,
	  .run = volume_resize_run);

static int volume_rename_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct volume_ref ref;
	int err = named(ctx, STORE_VOLUME, argv, &ref);

	(void)argc;
	return err ? err : volume_cmd_end(ctx, ref.s, argv[0],
					  store_rename(ref.s->st, ref.e.id, argv[1]));
}
SHELL_CMD(volume_rename, "volume rename", "give a volume or a snapshot another name",
	  .args = "NAME[@SNAPSHOT] NEW", .min_args = 2, .max_args = 2,
	  .example = "volume rename root old-root", .complete = volume_cmd_complete,
	  .run = volume_rename_run);

/* For those who have it open, too. */
static void full_tell(struct store_dev *s, uint32_t id, uint32_t flags)
{
	struct volume *v;

	list_for_each_entry(v, &s->open, node) {
		if (v->id == id)
			__atomic_store_n(&v->flags, flags, __ATOMIC_RELAXED);
	}
}

static int volume_full_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	bool pause = strcmp(argv[1], "pause") == 0;
	struct volume_ref ref;
	uint32_t flags;
	int err;

	(void)argc;
	if (!pause && strcmp(argv[1], "fail") != 0)
		return cmd_fail(ctx, -RAY_EINVAL, "'fail' or 'pause', not '%s'", argv[1]);
	err = volume_cmd_find(ctx, argv[0], &ref);
	if (err)
		return err;
	if (ref.e.kind == STORE_SNAPSHOT) {
		store_leave(ref.s);
		return cmd_fail(ctx, -RAY_EINVAL, "'%s' is a snapshot; nothing writes to it", argv[0]);
	}
	flags = (ref.e.flags & ~(uint32_t)STORE_F_PAUSE) | (pause ? (uint32_t)STORE_F_PAUSE : 0);
	err = store_flags_set(ref.s->st, ref.e.id, flags);
	if (!err)
		full_tell(ref.s, ref.e.id, flags);
	return volume_cmd_end(ctx, ref.s, argv[0], err);
}
SHELL_CMD(volume_full, "volume full", "what becomes of writes when the store is full",
	  .args = "NAME fail|pause", .min_args = 2, .max_args = 2,
	  .help = "fail: the guest gets an I/O error. pause: its VM is paused, with the write kept, until\n"
		  "there is space and `vm resume` says so.",
	  .example = "volume full root pause", .complete = volume_cmd_complete,
	  .run = volume_full_run);

/* What was written and answered before is in the new one, and nothing that comes later. */
static int branch(struct cmd_ctx *ctx, enum store_kind kind, char **argv,
		  int (*change)(struct store *st, uint32_t id, const char *name, uint32_t *out))
{
	struct volume_ref ref;
	uint32_t out;
	int err = named(ctx, kind, argv, &ref);

	if (err)
		return err;
	__atomic_store_n(&ref.s->hold_writes, true, __ATOMIC_SEQ_CST);
	store_drain(ref.s);
	err = change(ref.s->st, ref.e.id, argv[1], &out);
	__atomic_store_n(&ref.s->hold_writes, false, __ATOMIC_SEQ_CST);
	return volume_cmd_end(ctx, ref.s, argv[0], err);
}

static int volume_snapshot_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	(void)argc;
	return branch(ctx, STORE_SNAPSHOT, argv, store_snapshot);
}
SHELL_CMD(volume_snapshot, "volume snapshot", "keep a volume as it is now", .args = "NAME SNAPSHOT",
	  .min_args = 2, .max_args = 2,
	  .help = "Takes no time and no space, whatever is in the volume, also while it is in use: it\n"
		  "then is as after a power cut. `volume list` shows it as NAME@SNAPSHOT.",
	  .example = "volume snapshot root before-update", .complete = volume_cmd_complete,
	  .run = volume_snapshot_run);

static int volume_clone_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	(void)argc;
	return branch(ctx, STORE_VOLUME, argv, store_clone);
}
SHELL_CMD(volume_clone, "volume clone", "a new volume with the contents of another or a snapshot",
	  .args = "NAME[@SNAPSHOT] NEW", .min_args = 2, .max_args = 2,
	  .help = "What both have takes space once.", .example = "volume clone root@before-update try",
	  .complete = volume_cmd_complete, .run = volume_clone_run);

static int volume_rollback_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct volume_ref ref;
	struct store_entry snap;
	int err = volume_cmd_find(ctx, argv[0], &ref);

	(void)argc;
	if (err)
		return err;
	if (store_lookup(ref.s->st, STORE_SNAPSHOT, ref.e.id, argv[1], &snap) != 0) {
		store_leave(ref.s);
		return cmd_fail(ctx, -RAY_ENOENT, "'%s' has no snapshot '%s'; see `volume list`",
				argv[0], argv[1]);
	}
	return volume_cmd_end(ctx, ref.s, argv[0], store_rollback(ref.s->st, ref.e.id, snap.id));
}
SHELL_CMD(volume_rollback, "volume rollback", "make a volume what it was in a snapshot",
	  .args = "NAME SNAPSHOT", .min_args = 2, .max_args = 2, .flags = CMD_CONFIRM,
	  .help = "What was written since is lost. The volume must not be in use; the snapshot stays.",
	  .example = "volume rollback root before-update --yes", .complete = volume_cmd_complete,
	  .run = volume_rollback_run);
