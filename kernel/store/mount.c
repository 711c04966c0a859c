/* SPDX-License-Identifier: Apache-2.0 */
/* A store is made, opened and closed; its checkpoints. */
#include <stdarg.h>
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/mm/heap.h"
#include "kernel/store/store_priv.h"

#define LOG_MIN 64u
#define LOG_MAX 4096u

int store_fail(struct store *st, int err, const char *fmt, ...)
{
	va_list ap;

	if (!st->failed) {
		va_start(ap, fmt);
		ray_vsnprintf(st->why, sizeof(st->why), fmt, ap);
		va_end(ap);
		st->failed = err;
	}
	return err;
}

/* --- superblocks --- */

static uint64_t slot_block(uint64_t blocks, unsigned int slot)
{
	return slot == 0 ? 0 : blocks - 1;
}

static uint32_t super_sum(const struct store_super *s)
{
	struct store_super copy = *s;

	copy.sum = 0;
	return store_sum_of(&copy, sizeof(copy));
}

/* Nothing is believed of it that is not looked at here. */
static bool super_sane(const struct store_super *s, uint64_t blocks)
{
	return s->blocks == blocks && s->height >= 1 && s->height < TREE_DEPTH &&
	       s->log_blocks >= LOG_MIN && s->log_blocks <= LOG_MAX && s->root < blocks &&
	       s->next_object > 0 && s->nodes < blocks && s->gen < BIT(60);
}

/* 0, -RAY_ENOENT: no superblock, -RAY_ENOSYS: of a version that is not known. */
static int super_look(const struct store_super *s, uint64_t blocks, char why[STORE_WHY_LEN])
{
	if (s->magic != STORE_MAGIC || s->sum != super_sum(s))
		return -RAY_ENOENT;
	if (s->version != STORE_VERSION) {
		ray_snprintf(why, STORE_WHY_LEN,
			     "the store is of version %u, this system knows version %u", s->version,
			     STORE_VERSION);
		return -RAY_ENOSYS;
	}
	if (s->blocks != blocks) {
		ray_snprintf(why, STORE_WHY_LEN,
			     "the store was made for %llu blocks, the partition has %llu",
			     (unsigned long long)s->blocks, (unsigned long long)blocks);
		return -RAY_EIO;
	}
	if (!super_sane(s, blocks)) {
		ray_snprintf(why, STORE_WHY_LEN, "the superblock is nonsense");
		return -RAY_EIO;
	}
	return 0;
}

/* The newer of the two, and which slot is to be written first from now on: the one that has less
 * to lose. */
static int super_read(const struct store_port *port, struct store_super *out, unsigned int *first,
		      char why[STORE_WHY_LEN])
{
	uint8_t *buf = kmalloc(STORE_BLOCK, MEM_STORE);
	int err = -RAY_ENOENT, io = 0;

	ray_snprintf(why, STORE_WHY_LEN, "there is no store");
	if (!buf)
		return -RAY_ENOMEM;
	*first = 0;
	for (unsigned int slot = 0; slot < 2 && err != -RAY_ENOSYS; slot++) {
		struct store_super s;
		int e = port->read(port->ctx, slot_block(port->blocks, slot), buf, 1);

		io = e ? e : io;
		memcpy(&s, buf, sizeof(s));
		if (!e)
			e = super_look(&s, port->blocks, why);
		if (e == 0 && (err != 0 || s.gen > out->gen)) {
			*first = !slot;
			*out = s;
			err = 0;
		} else if (err != 0 && e != -RAY_ENOENT) {
			err = e;
		}
	}
	kfree(buf);
	if (err && io) {
		ray_snprintf(why, STORE_WHY_LEN, "the superblock cannot be read");
		err = io;
	}
	return err;
}

static int super_write(struct store *st, struct store_super *s)
{
	uint8_t *buf = kzalloc(STORE_BLOCK, MEM_STORE);
	int err = buf ? 0 : -RAY_ENOMEM;

	s->sum = super_sum(s);
	/* One after the other: whatever happens, one of the two is whole. */
	for (unsigned int i = 0; i < 2 && !err; i++) {
		unsigned int slot = (st->super_first + i) & 1;

		memcpy(buf, s, sizeof(*s));
		err = st->port.write(st->port.ctx, slot_block(s->blocks, slot), buf, 1);
		st->stats.meta_blocks++;
		if (!err)
			err = st->port.flush(st->port.ctx);
	}
	kfree(buf);
	return err;
}

int store_probe(const struct store_port *port, uint8_t uuid[16], char why[STORE_WHY_LEN])
{
	struct store_super s;
	unsigned int first;
	int err = super_read(port, &s, &first, why);

	if (!err)
		memcpy(uuid, s.uuid, sizeof(s.uuid));
	return err;
}

/* --- checkpoints --- */

static int settle(struct store *st)
{
	bool more;
	int err;

	err = dead_save(st);
	if (!err)
		err = objects_save(st);
	if (!err)
		err = layers_save(st);
	/* What is placed changes bitmaps, whose records change nodes, which are to be placed. */
	do {
		more = false;
		if (!err)
			err = space_load_freed(st);
		if (!err)
			err = space_record(st, &more);
		if (!err)
			err = tree_place(st, &more);
	} while (!err && more);
	return err;
}

static int write_all(struct store *st)
{
	struct store_super next = st->super;
	int err = space_write(st);

	if (!err)
		err = tree_write(st);
	if (!err)
		err = st->port.flush(st->port.ctx);
	if (err)
		return err;
	next.gen++;
	next.root = st->tree.root->raw->block;
	next.root_gen = st->tree.root->raw->gen;
	next.height = st->tree.height;
	next.nodes = st->tree.nodes;
	next.next_object = st->next_object;
	next.free = st->space.free + st->space.freed + st->claimed;
	err = super_write(st, &next);
	if (!err)
		st->super = next;
	return err;
}

int store_checkpoint(struct store *st)
{
	int err = store_writable(st);

	if (!err)
		err = settle(st);
	if (err) {
		space_abandon(st);
		return err;
	}
	err = write_all(st);
	if (err) {
		space_abandon(st);
		return store_fail(st, err, "a checkpoint could not be written");
	}
	log_reset(st);
	st->stats.checkpoints++;
	/* Nobody reads or writes any more what is free from now on. */
	st->port.drain(st->port.ctx);
	space_release(st);
	st->unsaved = 0;
	tree_shrink(st, st->cache_max);
	return st->failed;
}

/* --- making --- */

static struct store *store_new(const struct store_port *port)
{
	struct store *st = kzalloc(sizeof(*st), MEM_STORE);

	if (!st)
		return NULL;
	st->port = *port;
	spin_lock_init(&st->lock, LOCK_ORDER_STORE);
	for (unsigned int i = 0; i < OBJECT_HASH; i++) {
		list_init(&st->by_id[i]);
		list_init(&st->by_name[i]);
	}
	list_init(&st->objects);
	list_init(&st->claims);
	return st;
}

void store_drop(struct store *st)
{
	if (!st)
		return;
	log_fini(st);
	objects_fini(st);
	layers_fini(st);
	space_fini(st);
	tree_close(st);
	kfree(st);
}

void store_unmount(struct store *st)
{
	/* What it could not write is in the log. */
	if (!st->failed && !st->read_only && store_checkpoint(st) != 0)
		store_fail(st, -RAY_EIO, "the last checkpoint could not be written");
	store_drop(st);
}

int store_format(const struct store_port *port, const uint8_t uuid[16])
{
	struct store *st;
	int err;

	if (port->blocks < STORE_BLOCKS_MIN || port->blocks > STORE_BLOCKS_MAX)
		return -RAY_ERANGE;
	st = store_new(port);
	if (!st)
		return -RAY_ENOMEM;
	st->super.magic = STORE_MAGIC;
	st->super.version = STORE_VERSION;
	memcpy(st->super.uuid, uuid, sizeof(st->super.uuid));
	memcpy(&st->id, uuid, sizeof(st->id));
	st->super.blocks = port->blocks;
	st->super.log_blocks = (uint32_t)MIN(MAX(port->blocks / 512, (uint64_t)LOG_MIN),
					     (uint64_t)LOG_MAX);
	st->next_object = 1;
	st->cache_max = UINT64_MAX;
	err = space_init(st);
	if (!err) {
		st->tree.root = node_create(false);
		err = st->tree.root ? 0 : -RAY_ENOMEM;
	}
	if (!err) {
		st->tree.root->dirty = true;
		st->tree.height = 1;
		st->tree.nodes = st->tree.cached = st->tree.dirty = 1;
		err = store_checkpoint(st);
	}
	store_drop(st);
	return err;
}

/* --- opening --- */

static int mark(struct store *st, struct op *op)
{
	return op->type == OP_MAP ? space_mark(st, op->phys, op->n) : 0;
}

static int redo(struct store *st, struct op *op)
{
	uint64_t flags;
	int err = op_prepare(st, op);

	if (err) {
		op_drop(op);
		return err == -RAY_ENOMEM || st->failed
			       ? err
			       : store_fail(st, -RAY_EIO,
					    "the log has what cannot be done: %s of object %u",
					    ray_strerror(err), op->object);
	}
	flags = store_lock(st);
	op_apply(st, op);
	store_unlock(st, flags);
	op_drop(op);
	return st->failed;
}

static int again(struct store *st, struct op *op)
{
	uint64_t end = op->l + op->n;
	int err = redo(st, op);

	/* Layers may have become one since the checkpoint, so that one step then takes more now. */
	while (!err && op->type == OP_UNMAP && op->l + op->n < end) {
		op->l += op->n;
		op->n = end - op->l;
		err = redo(st, op);
	}
	st->stats.replayed++;
	return err;
}

static int open_all(struct store *st)
{
	int err;

	if (!space_valid(st, st->super.root, 1))
		return store_fail(st, -RAY_EIO, "the root of the tree cannot be at block %llu",
				  (unsigned long long)st->super.root);
	err = tree_open(st);
	if (!err)
		err = space_open(st);
	if (!err)
		err = layers_load(st);
	if (!err)
		err = objects_load(st);
	/* First what the log has taken, so that nothing else takes it. */
	if (!err)
		err = log_replay(st, mark);
	if (!err)
		err = log_replay(st, again);
	if (!err && !st->read_only)
		err = store_checkpoint(st);
	return err;
}

int store_mount(const struct store_port *port, bool read_only, uint64_t cache_max,
		struct store **out, char why[STORE_WHY_LEN])
{
	struct store *st = store_new(port);
	int err = -RAY_ENOMEM;

	ray_snprintf(why, STORE_WHY_LEN, "%s", ray_strerror(err));
	if (!st)
		return err;
	err = super_read(port, &st->super, &st->super_first, why);
	if (!err) {
		memcpy(&st->id, st->super.uuid, sizeof(st->id));
		st->read_only = read_only;
		st->cache_max = cache_max;
		st->next_object = st->super.next_object;
		err = space_init(st);
		if (!err)
			err = open_all(st);
		if (err)
			ray_snprintf(why, STORE_WHY_LEN, "%s",
				     st->why[0] ? st->why : ray_strerror(err));
	}
	if (err) {
		store_drop(st);
		return err;
	}
	*out = st;
	return 0;
}
