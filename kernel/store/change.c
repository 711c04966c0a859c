/* SPDX-License-Identifier: Apache-2.0 */
/* Changes that are asked for: checked, done, and noted for the log. */
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/store/store_priv.h"

#define ONE_CHANGE 300u /* nodes that a change makes dirty, at most */

/* --- room --- */

/* Nodes that a checkpoint now would write, about. */
static uint64_t nodes_due(const struct store *st)
{
	return st->tree.dirty + st->unsaved / 8;
}

bool store_checkpoint_due(const struct store *st)
{
	return nodes_due(st) > 0 &&
	       (nodes_due(st) > st->cache_max / 2 ||
		nodes_due(st) + ONE_CHANGE > MIN(st->space.free, st->space.reserve));
}

/* What makes the tree larger stops before a checkpoint could not be written. */
static bool tree_full(const struct store *st, const struct op *op)
{
	uint64_t keep = op->type == OP_DELETE || op->type == OP_RESIZE || op->type == OP_REPLACE ? 0
			: op->type == OP_UNMAP || op->type == OP_MAP ? st->space.reserve / 4
								     : st->space.reserve / 2;

	return st->space.free < keep;
}

static int make_room(struct store *st, const struct op *op)
{
	int err = log_prepare(st);

	tree_shrink(st, st->cache_max);
	if (err != 0 && err != -RAY_ENOSPC)
		return err;
	if (err || store_checkpoint_due(st) ||
	    (tree_full(st, op) && st->space.freed > 0)) {
		err = store_checkpoint(st);
		if (!err)
			err = log_prepare(st);
	}
	if (!err && tree_full(st, op))
		err = -RAY_ENOSPC;
	return err;
}

static int change(struct store *st, struct op *op)
{
	int err = store_writable(st);

	if (!err)
		err = make_room(st, op);
	if (!err)
		err = op_prepare(st, op);
	if (!err) {
		uint64_t flags = store_lock(st);

		op_apply(st, op);
		log_put(st, op);
		store_unlock(st, flags);
		err = st->failed; /* what it met on the disk was not what it should be */
	}
	op_drop(op);
	return err;
}

/* --- objects --- */

static int name_take(struct op *op, const char *name)
{
	size_t len = strlen(name);

	if (len > STORE_NAME_MAX)
		return -RAY_EINVAL;
	memcpy(op->name, name, len);
	op->name_len = (uint8_t)len;
	return 0;
}

static int in_use(const struct store *st, uint32_t id)
{
	const struct object *o = object_by_id(st, id);

	return !o ? -RAY_ENOENT : o->users > 0 ? -RAY_EBUSY : 0;
}

int store_create(struct store *st, enum store_kind kind, const char *name, uint64_t size,
		 uint32_t flags, uint32_t *id)
{
	struct op op = {.type = OP_CREATE, .object = st->next_object, .kind = kind, .size = size,
			.flags = flags, .when = st->port.seconds(st->port.ctx)};
	int err = name_take(&op, name);

	if (!err)
		err = change(st, &op);
	if (!err)
		*id = op.object;
	return err;
}

int store_delete(struct store *st, uint32_t id)
{
	struct op op = {.type = OP_DELETE, .object = id};
	int err = in_use(st, id);

	return err ? err : change(st, &op);
}

int store_rename(struct store *st, uint32_t id, const char *name)
{
	struct op op = {.type = OP_RENAME, .object = id};
	int err = name_take(&op, name);

	return err ? err : change(st, &op);
}

static int unmap(struct store *st, uint32_t id, uint64_t l, uint64_t n)
{
	int err = 0;

	while (n > 0 && !err) {
		struct op op = {.type = OP_UNMAP, .object = id, .l = l, .n = n};

		err = change(st, &op);
		l += op.n;
		n -= op.n;
	}
	return err;
}

/* What is cut off is given back before the size is noted, so that it does not come back when
 * the volume grows again. */
int store_resize(struct store *st, uint32_t id, uint64_t size)
{
	struct op op = {.type = OP_RESIZE, .object = id, .size = size};
	const struct object *o = object_by_id(st, id);
	uint64_t first = store_blocks(size), last;
	int err = in_use(st, id);

	if (err)
		return err;
	last = store_blocks(o->d.size);
	if (size <= STORE_VOLUME_MAX && first < last)
		err = unmap(st, id, first, last - first);
	return err ? err : change(st, &op);
}

int store_flags_set(struct store *st, uint32_t id, uint32_t flags)
{
	struct op op = {.type = OP_FLAGS, .object = id, .flags = flags};

	return change(st, &op);
}

static int branch(struct store *st, enum store_kind kind, uint32_t from, const char *name,
		  uint32_t *id)
{
	struct op op = {.type = OP_BRANCH, .object = from, .other = st->next_object, .kind = kind,
			.when = st->port.seconds(st->port.ctx)};
	int err = name_take(&op, name);

	if (!err)
		err = change(st, &op);
	if (!err)
		*id = op.other;
	return err;
}

int store_snapshot(struct store *st, uint32_t volume, const char *name, uint32_t *id)
{
	return branch(st, STORE_SNAPSHOT, volume, name, id);
}

int store_clone(struct store *st, uint32_t from, const char *name, uint32_t *id)
{
	return branch(st, STORE_VOLUME, from, name, id);
}

int store_rollback(struct store *st, uint32_t volume, uint32_t snapshot)
{
	struct op op = {.type = OP_ROLLBACK, .object = volume, .other = snapshot};
	int err = in_use(st, volume);

	return err ? err : change(st, &op);
}

int store_replace(struct store *st, uint32_t file, uint32_t by)
{
	struct op op = {.type = OP_REPLACE, .object = file, .other = by};
	int err = in_use(st, file);

	return err ? err : change(st, &op);
}

/* --- data --- */

int store_claim(struct store *st, uint32_t want, struct store_claim *c)
{
	struct space *s = &st->space;
	uint64_t flags = store_lock(st), most = s->free > s->reserve ? s->free - s->reserve : 0;

	c->n = space_take(st, (uint32_t)MIN(MIN(want, most), (uint64_t)STORE_IO_BLOCKS), &c->phys);
	if (likely(c->n > 0)) {
		list_add_tail(&c->node, &st->claims);
		st->claimed += c->n;
	}
	store_unlock(st, flags);
	return likely(c->n > 0) ? 0 : -RAY_EAGAIN;
}

int store_claim_prepare(struct store *st)
{
	int err = store_writable(st);

	if (!err && st->space.free <= st->space.reserve && st->space.freed > 0)
		err = store_checkpoint(st);
	if (!err && st->space.free <= st->space.reserve)
		err = -RAY_ENOSPC;
	return err ? err : space_prepare(st);
}

int store_claim_wait(struct store *st, uint32_t want, struct store_claim *c)
{
	int err = store_claim(st, want, c);

	while (err == -RAY_EAGAIN) {
		err = store_claim_prepare(st);
		if (!err)
			err = store_claim(st, want, c);
	}
	return err;
}

static void claim_end(struct store *st, struct store_claim *c)
{
	list_del(&c->node);
	st->claimed -= c->n;
}

void store_unclaim(struct store *st, struct store_claim *c)
{
	uint64_t flags = store_lock(st);

	claim_end(st, c);
	space_untake(st, c->phys, c->n);
	store_unlock(st, flags);
}

int store_map(struct store *st, uint32_t id, uint64_t l, struct store_claim *c,
	      const uint32_t *sums)
{
	struct op op = {.type = OP_MAP, .object = id, .l = l, .n = c->n, .phys = c->phys,
			.flags = sums ? STORE_EXTENT_SUMS : 0, .sums = sums};
	int err = store_writable(st);
	uint64_t flags;

	/* Until it is mapped it stays a claim, also over a checkpoint that this may bring. */
	if (!err)
		err = make_room(st, &op);
	if (!err)
		err = op_prepare(st, &op);
	if (err) {
		store_unclaim(st, c);
		return err;
	}
	flags = store_lock(st);
	claim_end(st, c);
	op_apply(st, &op);
	log_put(st, &op);
	store_unlock(st, flags);
	return st->failed;
}

int store_unmap(struct store *st, uint32_t id, uint64_t l, uint64_t n)
{
	const struct object *o = object_by_id(st, id);
	uint64_t blocks = o ? store_blocks(o->d.size) : 0;

	if (!o)
		return -RAY_ENOENT;
	return l > blocks || n > blocks - l ? -RAY_ERANGE : unmap(st, id, l, n);
}

/* --- keeping --- */

int store_commit(struct store *st)
{
	return st->read_only ? -RAY_EROFS : log_commit(st);
}

bool store_uncommitted(const struct store *st)
{
	return st->log.first != NULL;
}
