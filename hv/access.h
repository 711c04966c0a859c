/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The short way from the exit handler to a device: a window that this vCPU has used before
 * (struct gbus_hit). Inside hv/ only. Context: the vCPU's own thread, loaded, IRQs off.
 */
#ifndef RAYOS_HV_ACCESS_H
#define RAYOS_HV_ACCESS_H

#include "hv/vcpu.h"
#include "hv/virq.h"
#include "hv/vm.h"
#include "kernel/sched/epoch.h"

/**
 * One access through the hit @h: the epoch section lasts as long as the device's function,
 * which never sleeps.
 * @data  as struct gbus_access has it
 * Returns: false when nothing has happened and the thread has to do it.
 */
static inline bool access_fast(struct vcpu *v, const struct gbus_hit *h, uint64_t addr,
			       unsigned int size, bool write, uint64_t *data)
{
	bool done = false;

	epoch_enter_irqoff();
	if (likely(gbus_hit_holds(&v->vm->bus, h, addr, size))) {
		struct gbus_range *r = h->range;
		struct gbus_access a = { .addr = addr, .offset = (uint32_t)(addr - r->base),
					 .size = (uint8_t)size, .write = write, .data = *data };

		done = r->fn(r, v, &a, true);
		*data = a.data;
	}
	epoch_leave_irqoff();
	return done;
}

#define LAPIC_PAGE(base) ((base) & 0xfffffffff000ull)
#define LAPIC_ENABLED    BIT(11)
#define LAPIC_X2         BIT(10)

/** The xAPIC page moves with IA32_APIC_BASE and is each vCPU's own, so it is not on the bus. */
static inline bool access_is_lapic(const struct vcpu *v, gpa_t gpa)
{
	uint64_t base = vlapic_base(v);

	return (gpa.v & ~(PAGE_SIZE - 1)) == LAPIC_PAGE(base) &&
	       (base & (LAPIC_ENABLED | LAPIC_X2)) == LAPIC_ENABLED;
}

#endif
