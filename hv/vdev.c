/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State records and the device list of a VM.
 * Owns: the byte order and bounds of records. Must not know: any device.
 * Locking: none; a record has one writer or reader, the list changes under vm->lock.
 */
#include "hv/vdev.h"

#include <string.h>

#include "hv/vm.h"

void state_put(struct state_buf *b, const void *p, size_t n)
{
	if (!b->data) {
		b->len += n;
		return;
	}
	if (b->bad || n > b->cap - b->len) {
		b->bad = true;
		return;
	}
	memcpy(b->data + b->len, p, n);
	b->len += n;
}

void state_put_u8(struct state_buf *b, uint8_t v)
{
	state_put(b, &v, sizeof(v));
}

/* Records are little-endian, as every CPU this runs on is. */
void state_put_u16(struct state_buf *b, uint16_t v)
{
	state_put(b, &v, sizeof(v));
}

void state_put_u32(struct state_buf *b, uint32_t v)
{
	state_put(b, &v, sizeof(v));
}

void state_put_u64(struct state_buf *b, uint64_t v)
{
	state_put(b, &v, sizeof(v));
}

void state_get(struct state_buf *b, void *p, size_t n)
{
	if (b->bad || n > b->len - b->pos) {
		b->bad = true;
		memset(p, 0, n);
		return;
	}
	memcpy(p, b->data + b->pos, n);
	b->pos += n;
}

uint8_t state_get_u8(struct state_buf *b)
{
	uint8_t v;

	state_get(b, &v, sizeof(v));
	return v;
}

uint16_t state_get_u16(struct state_buf *b)
{
	uint16_t v;

	state_get(b, &v, sizeof(v));
	return v;
}

uint32_t state_get_u32(struct state_buf *b)
{
	uint32_t v;

	state_get(b, &v, sizeof(v));
	return v;
}

uint64_t state_get_u64(struct state_buf *b)
{
	uint64_t v;

	state_get(b, &v, sizeof(v));
	return v;
}

void vdev_register(struct vm *vm, struct vdev *d, const struct vdev_ops *ops, uint32_t instance)
{
	d->ops = ops;
	d->vm = vm;
	d->instance = instance;
	list_add_tail(&d->node, &vm->vdevs);
}
