/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything of a paused VM but its memory, as a sequence of records:
 *   name[16], instance u32, version u32, length u32, then length bytes.
 */
#include <string.h>

#include "hv/pv.h"
#include "hv/vcpu_priv.h"
#include "hv/vm_priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"

#define RECORD_NAME 16u
#define VCPU_RECORD "vcpu"
#define VCPU_RECORD_VERSION 1u
#define CLOCK_RECORD "clock"

struct record_head {
	char name[RECORD_NAME]; /* terminated: head_get() refuses another */
	uint32_t instance, version, length;
};

/* Writes a head with length 0; returns where the length goes. */
static size_t head_put(struct state_buf *b, const char *name, uint32_t instance, uint32_t version)
{
	char padded[RECORD_NAME] = { 0 };

	strlcpy(padded, name, sizeof(padded));
	state_put(b, padded, sizeof(padded));
	state_put_u32(b, instance);
	state_put_u32(b, version);
	state_put_u32(b, 0);
	return b->len;
}

static void head_close(struct state_buf *b, size_t start)
{
	uint32_t length = (uint32_t)(b->len - start);

	if (!b->bad)
		memcpy(b->data + start - sizeof(length), &length, sizeof(length));
}

int vm_state_save(struct vm *vm, struct state_buf *b)
{
	struct vdev *d;
	size_t at;
	int err = 0;

	mutex_lock(&vm->lock);
	if (vm->state != VM_PAUSED) {
		err = -RAY_EINVAL;
		goto out;
	}
	at = head_put(b, CLOCK_RECORD, 0, 1);
	state_put_u64(b, pv_clock_now(vm));
	head_close(b, at);
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		at = head_put(b, VCPU_RECORD, i, VCPU_RECORD_VERSION);
		vcpu_save(vm->vcpu[i], b);
		head_close(b, at);
	}
	list_for_each_entry(d, &vm->vdevs, node) {
		at = head_put(b, d->ops->name, d->instance, d->ops->state_version);
		d->ops->save(d, b);
		head_close(b, at);
	}
	if (b->bad)
		err = -RAY_ENOSPC;
out:
	mutex_unlock(&vm->lock);
	return err;
}

static struct vdev *vdev_find(struct vm *vm, const struct record_head *h)
{
	struct vdev *d;

	list_for_each_entry(d, &vm->vdevs, node) {
		if (strcmp(d->ops->name, h->name) == 0 && d->instance == h->instance)
			return d;
	}
	return NULL;
}

static int record_apply(struct vm *vm, const struct record_head *h, struct state_buf *b)
{
	struct vdev *d;

	if (strcmp(h->name, CLOCK_RECORD) == 0) {
		pv_clock_start(vm, state_get_u64(b));
		return b->bad ? -RAY_EINVAL : 0;
	}
	if (strcmp(h->name, VCPU_RECORD) == 0) {
		if (h->instance >= vm->vcpu_count)
			return -RAY_EINVAL;
		return vcpu_load_state(vm->vcpu[h->instance], b, h->version);
	}
	d = vdev_find(vm, h);
	return d != NULL ? d->ops->load(d, b, h->version) : -RAY_ENOENT;
}

static bool head_get(struct state_buf *b, struct record_head *h)
{
	state_get(b, h->name, sizeof(h->name));
	h->instance = state_get_u32(b);
	h->version = state_get_u32(b);
	h->length = state_get_u32(b);
	return !b->bad && h->name[RECORD_NAME - 1] == '\0' && h->length <= b->len - b->pos;
}

int vm_state_load(struct vm *vm, struct state_buf *b, char *why, size_t why_len)
{
	struct record_head h;
	int err = 0;

	mutex_lock(&vm->lock);
	if (vm->state != VM_PAUSED) {
		ray_snprintf(why, why_len, "'%s' is not paused", vm->def.name);
		err = -RAY_EINVAL;
	}
	while (err == 0 && b->pos < b->len) {
		size_t at = b->pos;

		if (!head_get(b, &h)) {
			ray_snprintf(why, why_len, "damaged record at byte %lu", (unsigned long)at);
			err = -RAY_EINVAL;
			break;
		}
		struct state_buf one = { .data = b->data + b->pos, .cap = h.length, .len = h.length };
		err = record_apply(vm, &h, &one);
		if (err != 0)
			ray_snprintf(why, why_len, "record '%s' %u at byte %lu: %s", h.name,
				     h.instance, (unsigned long)at, ray_strerror(err));
		b->pos += h.length;
	}
	mutex_unlock(&vm->lock);
	return err;
}
