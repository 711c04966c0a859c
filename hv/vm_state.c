/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything of a paused VM but its memory, as a sequence of records:
 *   name[16], instance u32, version u32, length u32, then length bytes.
 * Loading looks at all heads first: only a set that is complete, and of versions known here,
 * is applied.
 */
#include <string.h>

#include "hv/pv.h"
#include "hv/vcpu_priv.h"
#include "hv/vm_priv.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/panic.h"

#define RECORD_NAME 16u
#define VCPU_RECORD "vcpu"
#define CLOCK_RECORD "clock"
#define CLOCK_RECORD_VERSION 1u

struct record_head {
	char name[RECORD_NAME];
	uint32_t instance, version, length;
};

/* --- saving --- */

/* Writes a head with length 0; returns where the length goes. */
static size_t head_put(struct state_buf *b, const char *name, uint32_t instance, uint32_t version)
{
	char padded[RECORD_NAME] = { 0 };

	ray_snprintf(padded, sizeof(padded), "%s", name);
	state_put(b, padded, sizeof(padded));
	state_put_u32(b, instance);
	state_put_u32(b, version);
	state_put_u32(b, 0);
	return b->len;
}

static void head_close(struct state_buf *b, size_t start)
{
	uint32_t length = (uint32_t)(b->len - start);

	if (b->data && !b->bad)
		memcpy(b->data + start - sizeof(length), &length, sizeof(length));
}

/* The VM's TSC, and the nanoseconds of its kvm-clock at that moment. */
static void clock_save(const struct vm *vm, struct state_buf *b)
{
	uint64_t tsc = rdtsc() + vm->tsc_offset;

	state_put_u64(b, tsc);
	state_put_u64(b, pv_clock_at(vm, tsc));
}

int vm_state_save_locked(struct vm *vm, struct state_buf *b)
{
	struct vdev *d;
	size_t at;

	if (vm->state != VM_PAUSED)
		return -RAY_EINVAL;
	at = head_put(b, CLOCK_RECORD, 0, CLOCK_RECORD_VERSION);
	clock_save(vm, b);
	head_close(b, at);
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		at = head_put(b, VCPU_RECORD, i, VCPU_STATE_VERSION);
		vcpu_save(vm->vcpu[i], b);
		head_close(b, at);
	}
	list_for_each_entry(d, &vm->vdevs, node) {
		at = head_put(b, d->ops->name, d->instance, d->ops->state_version);
		d->ops->save(d, b);
		head_close(b, at);
	}
	return b->bad ? -RAY_ENOSPC : 0;
}

int vm_state_save(struct vm *vm, struct state_buf *b)
{
	int err;

	mutex_lock(&vm->lock);
	err = vm_state_save_locked(vm, b);
	mutex_unlock(&vm->lock);
	return err;
}

/* --- loading --- */

/* Who a record belongs to. */
struct owner {
	enum { OWNER_CLOCK, OWNER_VCPU, OWNER_DEVICE } kind;
	const char *name;
	uint32_t instance, version;
	struct vcpu *vcpu;
	struct vdev *dev;
};

unsigned int vm_state_records(const struct vm *vm)
{
	const struct vdev *d;
	unsigned int n = 1 + vm->vcpu_count;

	list_for_each_entry(d, &vm->vdevs, node)
		n++;
	return n;
}

/* The @n-th of vm_state_records(): the clock, the vCPUs, the devices. */
static struct owner owner_get(const struct vm *vm, unsigned int n)
{
	struct owner o = { .kind = OWNER_CLOCK, .name = CLOCK_RECORD,
			   .version = CLOCK_RECORD_VERSION };
	struct vdev *d;

	if (n == 0)
		return o;
	if (n <= vm->vcpu_count)
		return (struct owner){ .kind = OWNER_VCPU, .name = VCPU_RECORD, .instance = n - 1,
				       .version = VCPU_STATE_VERSION, .vcpu = vm->vcpu[n - 1] };
	n -= 1 + vm->vcpu_count;
	list_for_each_entry(d, &vm->vdevs, node) {
		if (n-- == 0)
			o = (struct owner){ .kind = OWNER_DEVICE, .name = d->ops->name,
					    .instance = d->instance,
					    .version = d->ops->state_version, .dev = d };
	}
	return o;
}

/* Which of vm_state_records() a head means; as many as there are: none. */
static unsigned int owner_find(const struct vm *vm, const struct record_head *h)
{
	unsigned int n = vm_state_records(vm), i;

	for (i = 0; i < n; i++) {
		struct owner o = owner_get(vm, i);

		if (strncmp(h->name, o.name, RECORD_NAME) == 0 && h->instance == o.instance)
			break;
	}
	return i;
}

/* Names are printed when they are refused. */
static bool name_ok(const char *name)
{
	unsigned int len = 0;

	while (len < RECORD_NAME && name[len] > ' ' && name[len] <= '~')
		len++;
	return len > 0 && len < RECORD_NAME && name[len] == '\0';
}

static bool head_get(struct state_buf *b, struct record_head *h)
{
	state_get(b, h->name, sizeof(h->name));
	h->instance = state_get_u32(b);
	h->version = state_get_u32(b);
	h->length = state_get_u32(b);
	return !b->bad && name_ok(h->name) && h->length <= b->len - b->pos;
}

/* Where a reason for refusal is written. */
struct refusal {
	char *why;
	size_t len;
};

static int heads_check(const struct vm *vm, struct state_buf b, const struct refusal *r)
{
	unsigned int count = vm_state_records(vm), i;
	struct record_head h;
	uint64_t seen = 0;

	while (b.pos < b.len) {
		unsigned long at = b.pos;

		if (!head_get(&b, &h)) {
			ray_snprintf(r->why, r->len, "damaged record at byte %lu", at);
			return -RAY_EINVAL;
		}
		i = owner_find(vm, &h);
		if (i == count || (seen & BIT(i)) != 0) {
			ray_snprintf(r->why, r->len, "record '%s' %u at byte %lu: %s", h.name,
				     h.instance, at,
				     i == count ? "this VM has no such part" : "a second one");
			return i == count ? -RAY_ENOENT : -RAY_EEXIST;
		}
		if (h.version != owner_get(vm, i).version) {
			ray_snprintf(r->why, r->len,
				     "record '%s' %u at byte %lu: version %u, known is %u", h.name,
				     h.instance, at, h.version, owner_get(vm, i).version);
			return -RAY_EINVAL;
		}
		seen |= BIT(i);
		b.pos += h.length;
	}
	for (i = 0; i < count; i++) {
		struct owner o = owner_get(vm, i);

		if ((seen & BIT(i)) != 0)
			continue;
		ray_snprintf(r->why, r->len, "record '%s' %u is missing", o.name, o.instance);
		return -RAY_EINVAL;
	}
	return 0;
}

/* The VM's TSC goes on from where it was saved, and all vCPUs' with it. */
static int clock_load(struct vm *vm, struct state_buf *b)
{
	uint64_t tsc = state_get_u64(b), ns = state_get_u64(b), shift;

	if (b->bad)
		return -RAY_EINVAL;
	shift = tsc - rdtsc() - vm->tsc_offset;
	vm->tsc_offset += shift;
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *v = vm->vcpu[i];
		uint64_t flags = vcpu_borrow(v);

		v->tsc_offset += shift;
		hv_backend->tsc_offset_set(v, v->tsc_offset);
		vcpu_return(v, flags);
	}
	pv_clock_start(vm, tsc, ns);
	return 0;
}

static int record_apply(struct vm *vm, const struct record_head *h, struct state_buf *b)
{
	struct owner o = owner_get(vm, owner_find(vm, h));
	int err;

	switch (o.kind) {
	case OWNER_VCPU:
		err = vcpu_load_state(o.vcpu, b);
		break;
	case OWNER_DEVICE:
		err = o.dev->ops->load(o.dev, b, h->version);
		break;
	case OWNER_CLOCK:
	default:
		err = clock_load(vm, b);
		break;
	}
	return err == 0 && b->pos != b->len ? -RAY_EINVAL : err;
}

int vm_state_load_locked(struct vm *vm, struct state_buf *b, char *why, size_t why_len)
{
	const struct refusal r = { why, why_len };
	struct record_head h;
	int err;

	if (vm->state != VM_PAUSED) {
		ray_snprintf(why, why_len, "'%s' is not paused", vm->def.name);
		return -RAY_EINVAL;
	}
	err = heads_check(vm, *b, &r);
	while (err == 0 && b->pos < b->len) {
		unsigned long at = b->pos;

		ASSERT(head_get(b, &h));
		struct state_buf one = { .data = b->data + b->pos, .cap = h.length, .len = h.length };

		err = record_apply(vm, &h, &one);
		if (err != 0)
			ray_snprintf(why, why_len, "record '%s' %u at byte %lu: %s", h.name,
				     h.instance, at, ray_strerror(err));
		b->pos += h.length;
	}
	return err;
}

int vm_state_load(struct vm *vm, struct state_buf *b, char *why, size_t why_len)
{
	int err;

	mutex_lock(&vm->lock);
	err = vm_state_load_locked(vm, b, why, why_len);
	mutex_unlock(&vm->lock);
	return err;
}
