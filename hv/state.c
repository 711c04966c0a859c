/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "hv/vdev.h"
#include "hv/vm.h"

void state_put(struct state_buf *b, const void *p, size_t n)
{
	if (b->bad || n > b->cap - b->len) {
		b->bad = true;
		return;
	}
	memcpy(b->data + b->len, p, n);
	b->len += n;
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

/* x86 is little-endian, as the record is. */
#define STATE_ACCESS(bits)                                                                         \
	void state_put_u##bits(struct state_buf *b, uint##bits##_t v)                              \
	{                                                                                          \
		state_put(b, &v, sizeof(v));                                                       \
	}                                                                                          \
	uint##bits##_t state_get_u##bits(struct state_buf *b)                                      \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
                                                                                                   \
		state_get(b, &v, sizeof(v));                                                       \
		return v;                                                                          \
	}
STATE_ACCESS(8)
STATE_ACCESS(16)
STATE_ACCESS(32)
STATE_ACCESS(64)

void vdev_register(struct vm *vm, struct vdev *d, const struct vdev_ops *ops, uint32_t instance)
{
	d->ops = ops;
	d->vm = vm;
	d->instance = instance;
	list_add_tail(&d->node, &vm->vdevs);
}
