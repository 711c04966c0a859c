/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The changes a store knows, each in two steps: prepare checks it, loads what it touches and takes
 * memory; apply does it. A change that was just asked for and one that the log has take the same
 * way.
 */
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/store/store_priv.h"

#define LAYERS_DEEP_MAX 512u /* a read may have to look through all */

static bool holds_data(const struct object *o)
{
	return o->d.kind == STORE_VOLUME || o->d.kind == STORE_FILE;
}

/* --- prepare --- */

static int map_op_prepare(struct store *st, struct op *op)
{
	uint64_t n = op->n;
	int err;

	if (!holds_data(op->o))
		return -RAY_EINVAL;
	if (op->l + op->n > store_blocks(op->o->d.size))
		return -RAY_ERANGE;
	err = map_prepare(st, op->o->layer->id, op->l, &n);
	if (!err && op->flags & STORE_EXTENT_SUMS)
		err = sums_prepare(st, op->phys, op->n);
	/* As many extents as that are not in so few blocks. */
	return err ? err : n == op->n ? 0 : -RAY_EIO;
}

static int unmap_op_prepare(struct store *st, struct op *op)
{
	if (!holds_data(op->o))
		return -RAY_EINVAL;
	if (op->l + op->n > BIT(40))
		return -RAY_ERANGE;
	op->n = MIN(op->n, (uint64_t)STORE_EXTENT_MAX);
	return map_prepare(st, op->o->layer->id, op->l, &op->n);
}

static int size_check(uint64_t size)
{
	return size > STORE_VOLUME_MAX ? -RAY_ERANGE : 0;
}

static int name_check(struct store *st, enum store_kind kind, uint32_t origin, const struct op *op)
{
	char why[STORE_WHY_LEN];
	int err = store_name_check(kind, op->name, op->name_len, why);

	if (err)
		return err;
	return object_find(st, kind, origin, op->name, op->name_len) ? -RAY_EEXIST : 0;
}

static struct object *object_prepare(const struct op *op, uint32_t id, uint32_t origin)
{
	struct object *o = object_create(id);

	if (!o)
		return NULL;
	o->d.kind = (uint8_t)op->kind;
	o->d.flags = (uint16_t)op->flags;
	o->d.size = op->size;
	o->d.created = op->when;
	o->d.origin = origin;
	o->d.name_len = op->name_len;
	memcpy(o->d.name, op->name, op->name_len);
	return o;
}

static bool number_free(const struct store *st, uint32_t id)
{
	return id != 0 && id != UINT32_MAX && !object_by_id(st, id);
}

static int create_prepare(struct store *st, struct op *op)
{
	int err;

	if ((op->kind != STORE_VOLUME && op->kind != STORE_FILE) || op->flags & ~STORE_F_KNOWN ||
	    !number_free(st, op->object))
		return -RAY_EINVAL;
	err = size_check(op->size);
	if (!err)
		err = name_check(st, (enum store_kind)op->kind, 0, op);
	if (err)
		return err;
	op->fresh = object_prepare(op, op->object, 0);
	op->fresh_layer[0] = layer_prepare(st, NULL);
	return op->fresh && op->fresh_layer[0] ? 0 : -RAY_ENOMEM;
}

static unsigned int depth_of(const struct store *st, const struct layer *l)
{
	unsigned int n = 0;

	for (; l; l = layer_get(st, l->parent))
		n++;
	return n;
}

static int branch_prepare(struct store *st, struct op *op)
{
	bool snapshot = op->kind == STORE_SNAPSHOT;
	uint32_t origin = snapshot ? op->object : 0;
	int err;

	if ((!snapshot && op->kind != STORE_VOLUME) || !number_free(st, op->other))
		return -RAY_EINVAL;
	if (op->o->d.kind != STORE_VOLUME && (snapshot || op->o->d.kind != STORE_SNAPSHOT))
		return -RAY_EINVAL;
	if (depth_of(st, op->o->layer) >= LAYERS_DEEP_MAX)
		return -RAY_E2BIG;
	err = name_check(st, (enum store_kind)op->kind, origin, op);
	if (err)
		return err;
	op->size = op->o->d.size;
	op->flags = op->o->d.flags;
	op->fresh = object_prepare(op, op->other, origin);
	if (!op->fresh)
		return -RAY_ENOMEM;
	/* The volume goes on in a layer of its own, and so does a clone. */
	for (unsigned int i = 0; i < 2; i++) {
		if (i == 0 ? op->o->d.kind != STORE_VOLUME : snapshot)
			continue;
		op->fresh_layer[i] = layer_prepare(st, op->fresh_layer[0]);
		if (!op->fresh_layer[i])
			return -RAY_ENOMEM;
	}
	return 0;
}

static int rollback_prepare(struct store *st, struct op *op)
{
	op->o2 = object_by_id(st, op->other);
	if (!op->o2)
		return -RAY_ENOENT;
	if (op->o->d.kind != STORE_VOLUME || op->o2->d.kind != STORE_SNAPSHOT ||
	    op->o2->d.origin != op->object)
		return -RAY_EINVAL;
	op->fresh_layer[0] = layer_prepare(st, NULL);
	return op->fresh_layer[0] ? 0 : -RAY_ENOMEM;
}

static int replace_prepare(struct store *st, struct op *op)
{
	op->o2 = object_by_id(st, op->other);
	if (!op->o2)
		return -RAY_ENOENT;
	return op->o == op->o2 || op->o->d.kind != STORE_FILE || op->o2->d.kind != STORE_FILE
		       ? -RAY_EINVAL : 0;
}

static int delete_prepare(const struct op *op)
{
	return op->o->d.kind == STORE_VOLUME && op->o->snapshots > 0 ? -RAY_EBUSY
										     : 0;
}

int op_prepare(struct store *st, struct op *op)
{
	int err = tree_prepare(st);

	if (err)
		return err;
	if (op->type != OP_CREATE) {
		op->o = object_by_id(st, op->object);
		if (!op->o)
			return -RAY_ENOENT;
	}
	switch (op->type) {
	case OP_MAP:
		return map_op_prepare(st, op);
	case OP_UNMAP:
		return unmap_op_prepare(st, op);
	case OP_CREATE:
		return create_prepare(st, op);
	case OP_DELETE:
		return delete_prepare(op);
	case OP_RENAME:
		return name_check(st, (enum store_kind)op->o->d.kind, op->o->d.origin, op);
	case OP_RESIZE:
		return holds_data(op->o) ? size_check(op->size) : -RAY_EINVAL;
	case OP_BRANCH:
		return branch_prepare(st, op);
	case OP_ROLLBACK:
		return rollback_prepare(st, op);
	case OP_REPLACE:
		return replace_prepare(st, op);
	case OP_FLAGS:
		return op->o->d.kind == STORE_VOLUME && !(op->flags & ~STORE_F_KNOWN) ? 0
										      : -RAY_EINVAL;
	}
	return -RAY_EINVAL;
}

void op_drop(struct op *op)
{
	object_destroy(op->fresh);
	op->fresh = NULL;
	for (unsigned int i = 0; i < 2; i++) {
		layer_drop(op->fresh_layer[i]);
		op->fresh_layer[i] = NULL;
	}
}

/* --- apply --- */

static void map_apply(struct store *st, const struct op *op)
{
	struct layer *layer = op->o->layer;

	map_clear(st, layer, op->l, op->n, true);
	if (op->flags & STORE_EXTENT_SUMS)
		sums_put(st, op->phys, (uint32_t)op->n, op->sums);
	map_put(st, layer, op->l, op->phys, (uint32_t)op->n, op->flags);
	st->stats.data_blocks += op->n;
}

static void unmap_apply(struct store *st, const struct op *op)
{
	struct layer *layer = op->o->layer;

	map_clear(st, layer, op->l, op->n, true);
	/* What is below must not show through. */
	if (layer->parent != STORE_LAYER_NONE)
		map_put(st, layer, op->l, 0, (uint32_t)op->n, STORE_EXTENT_ZERO);
}

static struct layer *layer_use(struct store *st, struct op *op, unsigned int which,
			       struct layer *parent)
{
	struct layer *l = op->fresh_layer[which];

	op->fresh_layer[which] = NULL;
	layer_apply(st, l, parent);
	return l;
}

static void object_use(struct store *st, struct op *op, struct layer *layer)
{
	struct object *o = op->fresh;

	op->fresh = NULL;
	o->layer = layer;
	object_add(st, o);
	object_changed(st, o);
	st->next_object = MAX(st->next_object, o->id + 1);
}

static void branch_apply(struct store *st, struct op *op)
{
	struct layer *base = op->o->layer;

	if (op->fresh_layer[0]) {
		op->o->layer = layer_use(st, op, 0, base);
		object_changed(st, op->o);
		layer_put(base);
	}
	if (op->fresh_layer[1]) {
		object_use(st, op, layer_use(st, op, 1, base));
	} else {
		base->refs++;
		object_use(st, op, base);
		op->o->snapshots++;
	}
}

static void rollback_apply(struct store *st, struct op *op)
{
	struct layer *old = op->o->layer;

	op->o->layer = layer_use(st, op, 0, op->o2->layer);
	op->o->d.size = op->o2->d.size;
	object_changed(st, op->o);
	layer_put(old);
}

static void replace_apply(struct store *st, struct op *op)
{
	layer_put(op->o->layer);
	op->o->layer = op->o2->layer;
	op->o->d.size = op->o2->d.size;
	op->o->d.created = op->o2->d.created;
	object_changed(st, op->o);
	object_remove(st, op->o2);
}

static void rename_apply(struct store *st, const struct op *op)
{
	memset(op->o->d.name, 0, sizeof(op->o->d.name));
	memcpy(op->o->d.name, op->name, op->name_len);
	op->o->d.name_len = op->name_len;
	object_renamed(st, op->o);
}

void op_apply(struct store *st, struct op *op)
{
	switch (op->type) {
	case OP_MAP:
		map_apply(st, op);
		break;
	case OP_UNMAP:
		unmap_apply(st, op);
		break;
	case OP_CREATE:
		object_use(st, op, layer_use(st, op, 0, NULL));
		break;
	case OP_DELETE:
		layer_put(op->o->layer);
		object_remove(st, op->o);
		break;
	case OP_RENAME:
		rename_apply(st, op);
		break;
	case OP_RESIZE:
		op->o->d.size = op->size;
		object_changed(st, op->o);
		break;
	case OP_BRANCH:
		branch_apply(st, op);
		break;
	case OP_ROLLBACK:
		rollback_apply(st, op);
		break;
	case OP_REPLACE:
		replace_apply(st, op);
		break;
	case OP_FLAGS:
		op->o->d.flags = (uint16_t)op->flags;
		object_changed(st, op->o);
		break;
	}
}
