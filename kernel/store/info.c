/* SPDX-License-Identifier: Apache-2.0 */
/* What there is in a store, for people and for who opens it. */
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/store/store_priv.h"

/* --- names --- */

static bool name_byte(enum store_kind kind, char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-' || (c == '/' && kind == STORE_FILE);
}

int store_name_check(enum store_kind kind, const char *name, size_t len, char why[STORE_WHY_LEN])
{
	if (len == 0 || len > STORE_NAME_MAX) {
		ray_snprintf(why, STORE_WHY_LEN, "a name has 1 to %u bytes, not %zu",
			     STORE_NAME_MAX, len);
		return -RAY_EINVAL;
	}
	for (size_t i = 0; i < len; i++) {
		bool first = i == 0 && (name[i] == '.' || name[i] == '-' || name[i] == '/');

		if (name_byte(kind, name[i]) && !first)
			continue;
		ray_snprintf(why, STORE_WHY_LEN,
			     "byte %zu of the name is 0x%02x: letters, digits, '.', '_' and '-' only, "
			     "beginning with a letter, a digit or '_'",
			     i + 1, (uint8_t)name[i]);
		return -RAY_EINVAL;
	}
	return 0;
}

/* --- objects --- */

static void entry_fill(const struct object *o, struct store_entry *out)
{
	memset(out, 0, sizeof(*out));
	out->id = o->id;
	out->kind = (enum store_kind)o->d.kind;
	out->flags = o->d.flags;
	out->origin = o->d.origin;
	out->size = o->d.size;
	out->created = o->d.created;
	/* What others stand on stays when this one goes. */
	out->own = o->layer->refs == 1 ? o->layer->blocks << STORE_BLOCK_SHIFT : 0;
	out->users = o->users;
	out->snapshots = o->snapshots;
	memcpy(out->name, o->d.name, o->d.name_len);
}

int store_lookup(struct store *st, enum store_kind kind, uint32_t origin, const char *name,
		 struct store_entry *out)
{
	const struct object *o = object_find(st, kind, origin, name, strlen(name));

	if (!o)
		return -RAY_ENOENT;
	entry_fill(o, out);
	return 0;
}

int store_entry(struct store *st, uint32_t id, struct store_entry *out)
{
	const struct object *o = object_by_id(st, id);

	if (!o)
		return -RAY_ENOENT;
	entry_fill(o, out);
	return 0;
}

int store_next(struct store *st, uint32_t id, struct store_entry *out)
{
	const struct object *o = id ? object_by_id(st, id) : NULL;
	const struct list_head *next = o ? o->all.next : st->objects.next;

	if ((id && !o) || next == &st->objects)
		return -RAY_ENOENT;
	entry_fill(list_entry(next, struct object, all), out);
	return 0;
}

int store_hold(struct store *st, uint32_t id)
{
	struct object *o = object_by_id(st, id);

	if (!o)
		return -RAY_ENOENT;
	o->users++;
	return 0;
}

void store_let_go(struct store *st, uint32_t id)
{
	struct object *o = object_by_id(st, id);

	if (o && o->users > 0)
		o->users--;
}

/* --- the store --- */

void store_info_get(struct store *st, struct store_info *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->uuid, st->super.uuid, sizeof(out->uuid));
	out->gen = st->super.gen;
	out->objects = st->object_count;
	out->layers = st->layer_count;
	out->cached_nodes = st->tree.cached;
	out->dirty_nodes = st->tree.dirty;
	out->log_used = st->log.written + st->log.pages;
	out->log_size = st->super.log_blocks;
	out->read_only = st->read_only;
	out->failed = st->failed;
	out->why = st->why;
}

bool store_failed(const struct store *st)
{
	return st->failed != 0;
}

void store_space_get(struct store *st, struct store_space *out)
{
	uint64_t flags = store_lock(st), taken;

	memset(out, 0, sizeof(*out));
	out->blocks = st->super.blocks;
	out->free = st->space.free;
	out->freed = st->space.freed;
	out->reserve = st->space.reserve;
	out->claimed = st->claimed;
	for (uint32_t i = 1; i < st->layers_cap; i++)
		out->data += st->layer[i] ? st->layer[i]->blocks : 0;
	taken = st->super.blocks - out->free - out->freed - out->claimed;
	out->meta = taken - out->data;
	store_unlock(st, flags);
}

void store_stats_get(struct store *st, struct store_stats *out)
{
	*out = st->stats;
}
