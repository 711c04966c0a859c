/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's accesses to ports and device memory through the guest bus, from its thread, and the
 * search when an exit handler's access misses the window hit last (hv/access.h).
 */
#include "hv/access.h"

#include "hv/vm.h"
#include "kernel/lib/err.h"

/*
 * Note the range @r found for an access, or the one inside it, as far as it lies in the window
 * @limits, whose generation was read before the search. False: not for the exit handler.
 * Context: the epoch section of the search.
 */
static bool hit_note(struct gbus_hit *h, struct gbus_range *r, const struct gbus_access *a,
		     const struct gbus_hit *limits)
{
	uint64_t start = r->base, base, last;

	if (r->inner != NULL)
		r = r->inner(r, a->addr, a->size, &start);
	if (r == NULL || (r->flags & GBUS_F_FAST) == 0)
		return false;
	base = MAX(start, limits->base);
	last = MIN(start + (r->len - 1), limits->base + (limits->len - 1));
	*h = (struct gbus_hit){ .base = base, .len = last - base + 1, .start = start, .range = r,
				.generation = limits->generation };
	return true;
}

static uint64_t generation_of(const struct vm *vm)
{
	return __atomic_load_n(&vm->bus.generation, __ATOMIC_ACQUIRE);
}

static struct gbus_range *port_search(struct vcpu *v, const struct gbus_access *a, bool *fast)
{
	struct gbus_hit limits = { .base = 0, .len = 0x10000, .generation = generation_of(v->vm) };
	struct gbus_range *r = gbus_port_find(&v->vm->bus, (uint32_t)a->addr, a->size);

	*fast = r != NULL && hit_note(&v->port_hit, r, a, &limits);
	return r;
}

/*
 * The window of a hit is one page at most, and one without RAM: where both are, RAM answers
 * (it faults only while it is dirty-logged).
 */
static struct gbus_range *mmio_search(struct vcpu *v, const struct gbus_access *a, bool *fast)
{
	struct gbus_hit limits = { .base = a->addr & ~(PAGE_SIZE - 1), .len = PAGE_SIZE,
				   .generation = generation_of(v->vm) };
	struct gbus_range *r = gbus_mmio_find(&v->vm->bus, a->addr, a->size);

	*fast = r != NULL && !gmem_covers(&v->vm->mem, GPA(limits.base)) &&
		hit_note(&v->mmio_hit, r, a, &limits);
	return r;
}

bool access_missed(struct vcpu *v, struct gbus_hit *h, struct gbus_access *a)
{
	bool fast;

	if (h == &v->port_hit)
		(void)port_search(v, a, &fast);
	else
		(void)mmio_search(v, a, &fast);
	if (!fast)
		return false;
	a->offset = (uint32_t)(a->addr - h->start);
	return h->range->fn(h->range, v, a, true);
}

static struct gbus_range *port_get(struct vcpu *v, const struct gbus_access *a)
{
	struct gbus_range *r;
	bool fast;

	epoch_enter();
	r = port_search(v, a, &fast);
	if (r != NULL)
		gbus_range_get(r);
	epoch_leave();
	return r;
}

static struct gbus_range *mmio_get(struct vcpu *v, const struct gbus_access *a)
{
	struct gbus_range *r;
	bool fast;

	epoch_enter();
	r = mmio_search(v, a, &fast);
	if (r != NULL)
		gbus_range_get(r);
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
