/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/virtio/gpu_res.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"

#define PIXEL       4u
#define BLOCK_BYTES KIB(64) /* the longest row has as many */
/* A row costs at least so much of a budget, however short: its set-up. */
#define ROW_COST    256u

BUILD_ASSERT(VGPU_SIDE_MAX * PIXEL <= BLOCK_BYTES, "a block holds a row");
BUILD_ASSERT(sizeof(struct vgpu_entry) == 16, "5.7.6.8");

/* --- the set --- */

void vgpu_set_init(struct vgpu_set *s, struct quota *quota)
{
	for (unsigned int i = 0; i < VGPU_BUCKETS; i++)
		list_init(&s->bucket[i]);
	s->count = 0;
	s->quota = quota;
}

void vgpu_set_clear(struct vgpu_set *s)
{
	struct vgpu_res *r, *next;

	for (unsigned int i = 0; i < VGPU_BUCKETS; i++) {
		list_for_each_entry_safe(r, next, &s->bucket[i], node)
			vgpu_res_destroy(s, r);
	}
}

void vgpu_set_move(struct vgpu_set *to, struct vgpu_set *from)
{
	for (unsigned int i = 0; i < VGPU_BUCKETS; i++)
		list_splice_tail(&from->bucket[i], &to->bucket[i]);
	to->count = from->count;
	from->count = 0;
}

struct vgpu_res *vgpu_res_find(const struct vgpu_set *s, uint32_t id)
{
	struct vgpu_res *r;

	list_for_each_entry(r, &s->bucket[id % VGPU_BUCKETS], node) {
		if (r->id == id)
			return r;
	}
	return NULL;
}

/* --- making and destroying --- */

static bool size_ok(uint32_t side)
{
	return side > 0 && side <= VGPU_SIDE_MAX;
}

static unsigned int order_for(uint32_t bytes)
{
	unsigned int order = 0;

	while (PAGE_SIZE << order < bytes)
		order++;
	return order;
}

/* How @r is cut into blocks. */
static void layout(struct vgpu_res *r)
{
	uint32_t stride = r->width * PIXEL;

	r->block_rows = MIN((uint32_t)BLOCK_BYTES / stride, r->height);
	r->blocks = (r->height + r->block_rows - 1) / r->block_rows;
	r->order = order_for(r->block_rows * stride);
	r->charged = sizeof(*r) + r->blocks * (sizeof(r->block[0]) + (PAGE_SIZE << r->order));
}

int vgpu_res_create(struct vgpu_set *s, uint32_t id, uint32_t format, uint32_t width,
		    uint32_t height, struct vgpu_res **out)
{
	struct vgpu_res shape = {.id = id, .format = format, .width = width, .height = height};
	struct vgpu_res *r;
	int err;

	if (!vgpu_format_known(format) || !size_ok(width) || !size_ok(height))
		return -RAY_EINVAL;
	if (id == 0 || vgpu_res_find(s, id))
		return -RAY_EEXIST;
	if (s->count == VGPU_RESOURCES_MAX)
		return -RAY_ENOSPC;
	layout(&shape);
	err = quota_charge(s->quota, shape.charged);
	if (err)
		return err;
	r = kzalloc(sizeof(*r) + shape.blocks * sizeof(r->block[0]), MEM_VDEV);
	if (!r) {
		quota_uncharge(s->quota, shape.charged);
		return -RAY_ENOMEM;
	}
	*r = shape;
	list_add_tail(&r->node, &s->bucket[id % VGPU_BUCKETS]);
	s->count++;
	*out = r;
	return 0;
}

void vgpu_res_destroy(struct vgpu_set *s, struct vgpu_res *r)
{
	vgpu_backing_destroy(s, r);
	for (uint32_t i = 0; i < r->blocks; i++) {
		if (r->block[i].v)
			page_free_dirty(r->block[i], r->order);
	}
	quota_uncharge(s->quota, r->charged);
	list_del(&r->node);
	s->count--;
	kfree(r);
}

/* --- backing --- */

int vgpu_backing_create(struct vgpu_set *s, struct vgpu_res *r, uint32_t n)
{
	int err;

	if (n == 0 || n > VGPU_ENTRIES_MAX)
		return -RAY_EINVAL;
	err = quota_charge(s->quota, n * sizeof(r->entry[0]));
	if (err)
		return err;
	r->entry = kcalloc(n, sizeof(r->entry[0]), MEM_VDEV);
	if (!r->entry) {
		quota_uncharge(s->quota, n * sizeof(r->entry[0]));
		return -RAY_ENOMEM;
	}
	r->entries = n;
	r->backing = 0;
	return 0;
}

int vgpu_backing_check(const struct gmem *m, struct vgpu_res *r)
{
	r->backing = 0;
	for (uint32_t i = 0; i < r->entries; i++) {
		if (!gmem_is_ram(m, GPA(r->entry[i].gpa), r->entry[i].len))
			return -RAY_EINVAL;
		r->backing += r->entry[i].len;
	}
	return 0;
}

void vgpu_backing_destroy(struct vgpu_set *s, struct vgpu_res *r)
{
	if (!r->entry)
		return;
	quota_uncharge(s->quota, r->entries * sizeof(r->entry[0]));
	kfree(r->entry);
	r->entry = NULL;
	r->entries = 0;
	r->backing = 0;
}

/* --- pixels --- */

bool vgpu_res_holds(const struct vgpu_res *r, const struct vgpu_rect *rect)
{
	return rect->width > 0 && rect->height > 0 && rect->x < r->width && rect->y < r->height &&
	       rect->width <= r->width - rect->x && rect->height <= r->height - rect->y;
}

static uint8_t *row_in(const struct vgpu_res *r, hpa_t block, uint32_t y)
{
	return (uint8_t *)hpa_to_va(block) + (size_t)(y % r->block_rows) * r->width * PIXEL;
}

const uint8_t *vgpu_res_row(const struct vgpu_res *r, uint32_t y)
{
	hpa_t block = r->block[y / r->block_rows];

	return block.v ? row_in(r, block, y) : NULL;
}

uint8_t *vgpu_res_row_write(struct vgpu_res *r, uint32_t y)
{
	hpa_t *block = &r->block[y / r->block_rows];

	if (!block->v && page_alloc(r->order, PAGE_F_ZERO, block))
		return NULL;
	return row_in(r, *block, y);
}

/* --- from the guest --- */

int vgpu_transfer_begin(struct vgpu_transfer *t, struct vgpu_res *r, const struct vgpu_rect *rect,
			uint64_t offset)
{
	uint64_t bytes;

	if (!vgpu_res_holds(r, rect))
		return -RAY_EINVAL;
	/* Rows are as far apart in the backing as they are in the resource (5.7.6.8). */
	bytes = ((uint64_t)(rect->height - 1) * r->width + rect->width) * PIXEL;
	if (offset > r->backing || bytes > r->backing - offset)
		return -RAY_EINVAL;
	*t = (struct vgpu_transfer){.res = r, .rect = *rect, .offset = offset};
	return 0;
}

/* Guest memory that was given back to the host reads as zeros. */
static int guest_copy(const struct gmem *m, uint8_t *dst, uint64_t gpa, uint64_t len)
{
	while (len > 0) {
		uint64_t n = MIN(len, GMEM_CHUNK_SIZE - gpa % GMEM_CHUNK_SIZE);
		const void *p = gmem_span(m, GPA(gpa), n);

		if (p)
			memcpy(dst, p, n);
		else if (gmem_is_ram(m, GPA(gpa), n))
			memset(dst, 0, n);
		else
			return -RAY_EFAULT;
		dst += n;
		gpa += n;
		len -= n;
	}
	return 0;
}

/* Bytes of the backing; @off never goes back within a transfer. */
static int backing_copy(struct vgpu_transfer *t, const struct gmem *m, uint8_t *dst, uint64_t off,
			uint64_t len)
{
	while (len > 0) {
		const struct vgpu_entry *e = &t->res->entry[t->entry];
		uint64_t in = off - t->entry_at, n;
		int err;

		if (in >= e->len) {
			t->entry_at += e->len;
			t->entry++;
			continue;
		}
		n = MIN(len, e->len - in);
		err = guest_copy(m, dst, e->gpa + in, n);
		if (err)
			return err;
		dst += n;
		off += n;
		len -= n;
	}
	return 0;
}

int vgpu_transfer_step(struct vgpu_transfer *t, const struct gmem *m, int64_t *budget)
{
	const struct vgpu_rect *rect = &t->rect;
	uint32_t bytes = rect->width * PIXEL;

	while (t->row < rect->height && *budget > 0) {
		uint64_t off = t->offset + (uint64_t)t->row * t->res->width * PIXEL;
		uint8_t *row = vgpu_res_row_write(t->res, rect->y + t->row);
		int err;

		if (!row)
			return -RAY_ENOMEM;
		err = backing_copy(t, m, row + rect->x * PIXEL, off, bytes);
		if (err)
			return err;
		*budget -= MAX(bytes, ROW_COST);
		t->row++;
	}
	return t->row < rect->height;
}
