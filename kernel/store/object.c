/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects: volumes, snapshots and files, all in memory, found by number and by name. Their records
 * in the tree are brought up to date by checkpoints.
 */
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/store/store_priv.h"

static uint64_t object_key(uint32_t id, unsigned int part)
{
	return STORE_KEY(STORE_OBJECT, (uint64_t)id << 8 | part);
}

static unsigned int name_hash(unsigned int kind, uint32_t origin, const char *name, size_t len)
{
	uint32_t h = 2166136261u ^ kind ^ origin * 31u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return (h ^ h >> 16) % OBJECT_HASH;
}

struct object *object_by_id(const struct store *st, uint32_t id)
{
	struct object *o;

	list_for_each_entry(o, &st->by_id[id % OBJECT_HASH], by_id) {
		if (o->id == id)
			return o;
	}
	return NULL;
}

struct object *object_find(const struct store *st, enum store_kind kind, uint32_t origin,
			   const char *name, size_t len)
{
	struct object *o;

	list_for_each_entry(o, &st->by_name[name_hash(kind, origin, name, len)], by_name) {
		if (o->d.kind == kind && o->d.origin == origin && o->d.name_len == len &&
		    memcmp(o->d.name, name, len) == 0)
			return o;
	}
	return NULL;
}

struct object *object_create(uint32_t id)
{
	struct object *o = kzalloc(sizeof(*o), MEM_STORE);

	if (!o)
		return NULL;
	o->id = id;
	o->saved = kzalloc(sizeof(*o->saved), MEM_STORE);
	if (!o->saved) {
		object_destroy(o);
		return NULL;
	}
	return o;
}

void object_destroy(struct object *o)
{
	if (o)
		kfree(o->saved);
	kfree(o);
}

void object_changed(struct store *st, struct object *o)
{
	st->unsaved += !o->dirty;
	o->dirty = true;
}

void object_add(struct store *st, struct object *o)
{
	list_add(&o->by_id, &st->by_id[o->id % OBJECT_HASH]);
	list_add(&o->by_name,
		 &st->by_name[name_hash(o->d.kind, o->d.origin, o->d.name, o->d.name_len)]);
	list_add_tail(&o->all, &st->objects);
	st->object_count++;
}

void object_renamed(struct store *st, struct object *o)
{
	list_del(&o->by_name);
	list_add(&o->by_name,
		 &st->by_name[name_hash(o->d.kind, o->d.origin, o->d.name, o->d.name_len)]);
	object_changed(st, o);
}

void object_remove(struct store *st, struct object *o)
{
	if (o->d.kind == STORE_SNAPSHOT)
		object_by_id(st, o->d.origin)->snapshots--;
	list_del(&o->by_id);
	list_del(&o->by_name);
	list_del(&o->all);
	st->object_count--;
	dead_add(st, o->saved, object_key(o->id, 0), STORE_OBJECT_PARTS);
	kfree(o);
}

/* --- records --- */

static int object_save(struct store *st, struct object *o)
{
	uint64_t val[STORE_OBJECT_PARTS], flags;
	int err = tree_load(st, object_key(o->id, 0), object_key(o->id, STORE_OBJECT_PARTS));

	if (!err)
		err = tree_prepare(st);
	if (err)
		return err;
	o->d.layer = o->layer->id;
	memcpy(val, &o->d, sizeof(val));
	flags = store_lock(st);
	for (unsigned int i = 0; i < STORE_OBJECT_PARTS; i++)
		tree_put(st, object_key(o->id, i), val[i]);
	store_unlock(st, flags);
	o->dirty = false;
	return 0;
}

int objects_save(struct store *st)
{
	struct object *o;
	int err = 0;

	list_for_each_entry(o, &st->objects, all) {
		if (o->dirty)
			err = object_save(st, o);
		if (err)
			break;
	}
	return err;
}

void dead_add(struct store *st, struct dead *d, uint64_t first, unsigned int count)
{
	d->first = first;
	d->count = count;
	d->next = st->dead;
	st->dead = d;
	st->unsaved++;
}

int dead_save(struct store *st)
{
	while (st->dead) {
		struct dead *d = st->dead;
		uint64_t last = d->first + d->count - 1, flags;
		struct cursor c;
		int err = tree_load(st, d->first, last);

		if (!err)
			err = tree_prepare(st);
		if (err)
			return err;
		flags = store_lock(st);
		while (tree_ceil(&st->tree, d->first, &c) == 0 && cursor_rec(&c)->key <= last)
			tree_del(st, cursor_rec(&c)->key);
		store_unlock(st, flags);
		st->dead = d->next;
		kfree(d);
	}
	st->unsaved = 0;
	return 0;
}

static int object_take(struct store *st, uint32_t id, const struct store_object *d)
{
	char why[STORE_WHY_LEN];
	struct layer *l = layer_get(st, d->layer);
	struct object *o;

	if (id == 0 || id >= st->super.next_object || d->kind < STORE_VOLUME ||
	    d->kind > STORE_FILE || d->flags & ~STORE_F_KNOWN || d->size > STORE_VOLUME_MAX || !l ||
	    store_name_check((enum store_kind)d->kind, d->name,
			     MIN(d->name_len, STORE_NAME_MAX + 1), why) ||
	    object_find(st, (enum store_kind)d->kind, d->origin, d->name, d->name_len))
		return store_fail(st, -RAY_EIO, "the record of object %u is nonsense", id);
	o = object_create(id);
	if (!o)
		return -RAY_ENOMEM;
	o->d = *d;
	o->layer = l;
	l->refs++;
	object_add(st, o);
	return 0;
}

static int origins_check(struct store *st)
{
	struct object *o, *of;

	list_for_each_entry(o, &st->objects, all) {
		of = o->d.kind == STORE_SNAPSHOT ? object_by_id(st, o->d.origin) : NULL;
		if (o->d.kind == STORE_SNAPSHOT ? !of || of->d.kind != STORE_VOLUME : o->d.origin)
			return store_fail(st, -RAY_EIO, "object %u belongs to none, %u", o->id,
					  o->d.origin);
		if (of)
			of->snapshots++;
	}
	return 0;
}

int objects_load(struct store *st)
{
	uint64_t last = STORE_KEY(STORE_OBJECT, BIT(40) - 1), val[STORE_OBJECT_PARTS];
	unsigned int part = 0;
	uint32_t id = 0;
	struct cursor c;
	int err = tree_ceil_load(st, STORE_KEY(STORE_OBJECT, 0), &c);

	while (!err && cursor_rec(&c)->key <= last) {
		uint64_t key = cursor_rec(&c)->key;

		if (part == 0)
			id = (uint32_t)(STORE_KEY_REST(key) >> 8);
		if (key != object_key(id, part))
			return store_fail(st, -RAY_EIO, "the record of object %u has gaps", id);
		val[part++] = cursor_rec(&c)->val;
		if (part == STORE_OBJECT_PARTS) {
			struct store_object d;

			memcpy(&d, val, sizeof(d));
			err = object_take(st, id, &d);
			part = 0;
		}
		if (!err)
			err = tree_next_load(st, &c);
	}
	if (err && err != -RAY_ENOENT)
		return err;
	if (part != 0)
		return store_fail(st, -RAY_EIO, "the record of object %u ends early", id);
	return origins_check(st);
}

void objects_fini(struct store *st)
{
	struct object *o, *next;

	list_for_each_entry_safe(o, next, &st->objects, all)
		object_destroy(o);
	while (st->dead) {
		struct dead *d = st->dead;

		st->dead = d->next;
		kfree(d);
	}
}
