/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State record of a display: screen, cursor, resources with their pixels.
 *
 * Pixels are in the record although a rebuild could leave them where they are: a record is to
 * be all there is to know, for whoever restores it somewhere else. The buffer of records is as
 * large as it takes (hv/vm_rebuild.c). A transfer that was cut short is not in it: its command
 * is still in the queue and begins anew.
 */
#include <string.h>

#include "devices/virt/attach.h"
#include "devices/virt/virtio/gpu_priv.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

static uint32_t block_height(const struct vgpu_res *r, uint32_t block)
{
	return MIN(r->block_rows, r->height - block * r->block_rows);
}

static void res_save(const struct vgpu_res *r, struct state_buf *b)
{
	state_put_u32(b, r->id);
	state_put_u32(b, r->format);
	state_put_u32(b, r->width);
	state_put_u32(b, r->height);
	state_put_u32(b, r->entries);
	if (r->entry)
		state_put(b, r->entry, r->entries * sizeof(r->entry[0]));
	for (uint32_t i = 0; i < r->blocks; i++) {
		const uint8_t *rows = vgpu_res_row(r, i * r->block_rows);

		state_put_u8(b, rows != NULL);
		if (rows)
			state_put(b, rows, (size_t)block_height(r, i) * r->width * 4);
	}
}

void vgpu_save(struct virtio_dev *d, struct state_buf *b)
{
	const struct vgpu_dev *g = vgpu_of(d);
	const struct vgpu_cursor *c = &g->cursor;
	const struct vgpu_res *r;

	state_put_u32(b, g->screen ? g->screen->id : 0);
	state_put(b, &g->shown, sizeof(g->shown));
	state_put_u8(b, c->visible);
	state_put_u32(b, c->x);
	state_put_u32(b, c->y);
	state_put_u32(b, c->hot_x);
	state_put_u32(b, c->hot_y);
	if (c->visible)
		state_put(b, c->argb, sizeof(c->argb));
	state_put_u32(b, g->set.count);
	for (unsigned int i = 0; i < VGPU_BUCKETS; i++) {
		list_for_each_entry(r, &g->set.bucket[i], node)
			res_save(r, b);
	}
}

static int backing_load(struct vgpu_set *s, struct vgpu_res *r, const struct gmem *m,
			struct state_buf *b, uint32_t entries)
{
	int err;

	if (entries == 0)
		return 0;
	err = vgpu_backing_create(s, r, entries);
	if (err)
		return err;
	state_get(b, r->entry, entries * sizeof(r->entry[0]));
	return b->bad ? -RAY_EINVAL : vgpu_backing_check(m, r);
}

static int pixels_load(struct vgpu_res *r, struct state_buf *b)
{
	for (uint32_t i = 0; i < r->blocks; i++) {
		uint8_t present = state_get_u8(b), *rows;

		if (b->bad || present > 1)
			return -RAY_EINVAL;
		if (!present)
			continue;
		rows = vgpu_res_row_write(r, i * r->block_rows);
		if (!rows)
			return -RAY_ENOMEM;
		state_get(b, rows, (size_t)block_height(r, i) * r->width * 4);
	}
	return b->bad ? -RAY_EINVAL : 0;
}

static int res_load(struct vgpu_set *s, const struct gmem *m, struct state_buf *b)
{
	uint32_t id = state_get_u32(b), format = state_get_u32(b), width = state_get_u32(b);
	uint32_t height = state_get_u32(b), entries = state_get_u32(b);
	struct vgpu_res *r;
	int err;

	if (b->bad)
		return -RAY_EINVAL;
	err = vgpu_res_create(s, id, format, width, height, &r);
	if (!err)
		err = backing_load(s, r, m, b, entries);
	return err ? err : pixels_load(r, b);
}

/* A record as read: what apply() makes of it cannot fail. */
struct saved {
	struct vgpu_set set;
	struct vgpu_rect shown;
	struct vgpu_res *screen;
	struct vgpu_cursor cursor;
};

static int decode(struct vgpu_dev *g, struct state_buf *b, struct saved *s)
{
	uint32_t screen = state_get_u32(b), count;
	int err = 0;

	state_get(b, &s->shown, sizeof(s->shown));
	s->cursor.visible = state_get_u8(b) != 0;
	s->cursor.x = state_get_u32(b);
	s->cursor.y = state_get_u32(b);
	s->cursor.hot_x = state_get_u32(b);
	s->cursor.hot_y = state_get_u32(b);
	if (s->cursor.visible)
		state_get(b, s->cursor.argb, sizeof(s->cursor.argb));
	count = state_get_u32(b);
	if (b->bad)
		return -RAY_EINVAL;
	for (uint32_t i = 0; i < count && !err; i++)
		err = res_load(&s->set, &g->v.dev.vm->mem, b);
	if (err || screen == 0)
		return err;
	s->screen = vgpu_res_find(&s->set, screen);
	return s->screen && vgpu_res_holds(s->screen, &s->shown) ? 0 : -RAY_EINVAL;
}

static void apply(struct vgpu_dev *g, struct saved *s)
{
	vgpu_clear(g);
	vgpu_set_move(&g->set, &s->set);
	g->cursor = s->cursor;
	vgpu_show(g, s->screen, &s->shown);
}

int vgpu_load(struct virtio_dev *d, struct state_buf *b, uint32_t version)
{
	struct vgpu_dev *g = vgpu_of(d);
	struct saved *s;
	int err;

	if (version != d->ops->state_version)
		return -RAY_EINVAL;
	s = kzalloc(sizeof(*s), MEM_VDEV);
	if (!s)
		return -RAY_ENOMEM;
	vgpu_set_init(&s->set, &d->attach->handler.quota);
	err = decode(g, b, s);
	if (err)
		vgpu_set_clear(&s->set);
	else
		apply(g, s);
	kfree(s);
	return err;
}
