/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's accesses to ports and device memory through the guest bus, from its thread. The
 * exit handler's short way (hv/access.h) needs a hit that was noted here.
 */
#include "hv/access.h"

#include "hv/vm.h"
#include "kernel/lib/err.h"

/* Inside the epoch section in which @r was found; @generation was read before the search. */
static void hit_note(struct gbus_hit *h, struct gbus_range *r, uint64_t base, uint64_t len,
		     uint64_t generation)
{
	if ((r->flags & GBUS_F_FAST) != 0)
		*h = (struct gbus_hit){ .base = base, .len = len, .range = r,
					.generation = generation };
}

static uint64_t generation_of(const struct vm *vm)
{
	return __atomic_load_n(&vm->bus.generation, __ATOMIC_ACQUIRE);
}

static struct gbus_range *port_get(struct vcpu *v, const struct gbus_access *a)
{
	uint64_t generation;
	struct gbus_range *r;

	epoch_enter();
	generation = generation_of(v->vm);
	r = gbus_port_find(&v->vm->bus, (uint32_t)a->addr, a->size);
	if (r != NULL) {
		gbus_range_get(r);
		hit_note(&v->port_hit, r, r->base, r->len, generation);
	}
	epoch_leave();
	return r;
}

/*
 * The window of a hit is one page at most, and one without RAM: where both are, RAM answers
 * (it faults only while it is dirty-logged).
 */
static void mmio_hit_note(struct vcpu *v, struct gbus_range *r, uint64_t gpa, uint64_t generation)
{
	uint64_t page = gpa & ~(PAGE_SIZE - 1);
	uint64_t base = MAX(page, r->base);

	if (!gmem_covers(&v->vm->mem, GPA(page)))
		hit_note(&v->mmio_hit, r, base,
			 MIN(page + (PAGE_SIZE - 1), r->base + (r->len - 1)) - base + 1, generation);
}

static struct gbus_range *mmio_get(struct vcpu *v, const struct gbus_access *a)
{
	uint64_t generation;
	struct gbus_range *r;

	epoch_enter();
	generation = generation_of(v->vm);
	r = gbus_mmio_find(&v->vm->bus, a->addr, a->size);
	if (r != NULL) {
		gbus_range_get(r);
		mmio_hit_note(v, r, a->addr, generation);
	}
	epoch_leave();
	return r;
}

/* The handler may sleep, so the range is pinned. */
static void access_pinned(struct vcpu *v, struct gbus_access *a, struct gbus_range *r)
{
	a->offset = (uint32_t)(a->addr - r->base);
	vcpu_away(v);
	(void)r->fn(r, v, a, false); /* only fast calls may be refused */
	vcpu_back(v);
	gbus_range_put(r);
}

void vcpu_port_access(struct vcpu *v, uint16_t port, unsigned int size, bool write, uint64_t *data)
{
	struct gbus_access a = { .addr = port, .size = (uint8_t)size, .write = write, .data = *data };
	struct gbus_range *r = port_get(v, &a);

	if (r != NULL) {
		access_pinned(v, &a, r);
	} else {
		v->io_unknown++;
		a.data = ~0ull;
	}
	if (!write)
		*data = a.data;
}

int vcpu_mmio_access(struct vcpu *v, gpa_t gpa, unsigned int size, bool write, uint64_t *data)
{
	struct gbus_access a = { .addr = gpa.v, .size = (uint8_t)size, .write = write, .data = *data };
	struct gbus_range *r;

	if (access_is_lapic(v, gpa)) {
		uint32_t value = (uint32_t)*data;

		(void)vlapic_mmio(v, (uint32_t)(gpa.v & (PAGE_SIZE - 1)), write, &value, false);
		if (!write)
			*data = value;
		return 0;
	}
	r = mmio_get(v, &a);
	if (r == NULL)
		return -RAY_EFAULT;
	access_pinned(v, &a, r);
	if (!write)
		*data = a.data;
	return 0;
}
