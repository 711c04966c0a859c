/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's accesses to ports and device memory, through the guest bus.
 */
#include "hv/gbus.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"

enum outcome { ACCESS_DONE, ACCESS_NOBODY, ACCESS_REFUSED };

typedef struct gbus_range *(*find_fn)(const struct vm *vm, const struct gbus_access *a);

static struct gbus_range *find_port(const struct vm *vm, const struct gbus_access *a)
{
	return gbus_port_find(&vm->bus, (uint32_t)a->addr, a->size);
}

static struct gbus_range *find_mmio(const struct vm *vm, const struct gbus_access *a)
{
	return gbus_mmio_find(&vm->bus, a->addr, a->size);
}

/* In the exit handler: the epoch section lasts as long as the call, which never sleeps. */
static enum outcome access_fast(struct vcpu *v, struct gbus_access *a, find_fn find)
{
	enum outcome o = ACCESS_NOBODY;

	epoch_enter();
	struct gbus_range *r = find(v->vm, a);
	if (r != NULL) {
		a->offset = (uint32_t)(a->addr - r->base);
		o = (r->flags & GBUS_F_FAST) != 0 && r->fn(r, v, a, true) ? ACCESS_DONE :
									    ACCESS_REFUSED;
	}
	epoch_leave();
	return o;
}

/* In the thread: the handler may sleep, so it is pinned instead. */
static enum outcome access_slow(struct vcpu *v, struct gbus_access *a, find_fn find)
{
	epoch_enter();
	struct gbus_range *r = find(v->vm, a);
	if (r != NULL)
		gbus_range_get(r);
	epoch_leave();
	if (r == NULL)
		return ACCESS_NOBODY;
	a->offset = (uint32_t)(a->addr - r->base);
	(void)r->fn(r, v, a, false); /* only fast calls may be refused */
	gbus_range_put(r);
	return ACCESS_DONE;
}

bool vcpu_port_access(struct vcpu *v, uint16_t port, unsigned int size, bool write, uint64_t *data,
		      bool fast)
{
	struct gbus_access a = { .addr = port, .size = (uint8_t)size, .write = write, .data = *data };
	enum outcome o = fast ? access_fast(v, &a, find_port) : access_slow(v, &a, find_port);

	if (o == ACCESS_NOBODY) {
		v->io_unknown++;
		a.data = ~0ull;
	}
	if (o != ACCESS_REFUSED && !write)
		*data = a.data;
	return o != ACCESS_REFUSED;
}

#define LAPIC_PAGE(base) ((base) & 0xfffffffff000ull)
#define LAPIC_ENABLED    BIT(11)
#define LAPIC_X2         BIT(10)

/* The xAPIC page moves with IA32_APIC_BASE and is each vCPU's own, so it is not on the bus. */
static bool is_lapic(const struct vcpu *v, gpa_t gpa)
{
	uint64_t base = vlapic_base(v);

	return (gpa.v & ~(PAGE_SIZE - 1)) == LAPIC_PAGE(base) &&
	       (base & (LAPIC_ENABLED | LAPIC_X2)) == LAPIC_ENABLED;
}

int vcpu_mmio_access(struct vcpu *v, gpa_t gpa, unsigned int size, bool write, uint64_t *data, bool fast)
{
	struct gbus_access a = { .addr = gpa.v, .size = (uint8_t)size, .write = write, .data = *data };
	enum outcome o;

	if (is_lapic(v, gpa)) {
		uint32_t value = (uint32_t)*data;

		if (!vlapic_mmio(v, (uint32_t)(gpa.v & (PAGE_SIZE - 1)), write, &value, fast))
			return -RAY_EAGAIN;
		if (!write)
			*data = value;
		return 0;
	}
	o = fast ? access_fast(v, &a, find_mmio) : access_slow(v, &a, find_mmio);
	if (o == ACCESS_NOBODY)
		return -RAY_EFAULT;
	if (o == ACCESS_REFUSED)
		return -RAY_EAGAIN;
	if (!write)
		*data = a.data;
	return 0;
}
