/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's accesses to ports and device memory, through the guest bus.
 */
#include "hv/gbus.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"

/* Offer an access to a range. False: the range wants a thread. */
static bool range_access(struct gbus_range *r, struct vcpu *v, struct gbus_access *a, bool fast)
{
	if (fast && (r->flags & GBUS_F_FAST) == 0)
		return false;
	a->offset = (uint32_t)(a->addr - r->base);
	return r->fn(r, v, a, fast);
}

bool vcpu_port_access(struct vcpu *v, uint16_t port, unsigned int size, bool write, uint64_t *data,
		      bool fast)
{
	struct gbus_access a = { .addr = port, .size = (uint8_t)size, .write = write, .data = *data };
	bool done = true;

	epoch_enter();
	struct gbus_range *r = gbus_port_find(&v->vm->bus, port, size);
	if (r != NULL) {
		done = range_access(r, v, &a, fast);
	} else {
		v->io_unknown++;
		a.data = ~0ull;
	}
	epoch_leave();
	if (done && !write)
		*data = a.data;
	return done;
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
	bool done;

	if (is_lapic(v, gpa)) {
		uint32_t value = (uint32_t)*data;

		done = vlapic_mmio(v, (uint32_t)(gpa.v & (PAGE_SIZE - 1)), write, &value, fast);
		if (done && !write)
			*data = value;
		return done ? 0 : -RAY_EAGAIN;
	}
	epoch_enter();
	struct gbus_range *r = gbus_mmio_find(&v->vm->bus, gpa.v, size);
	done = r != NULL && range_access(r, v, &a, fast);
	epoch_leave();
	if (r == NULL)
		return -RAY_EFAULT;
	if (!done)
		return -RAY_EAGAIN;
	if (!write)
		*data = a.data;
	return 0;
}
