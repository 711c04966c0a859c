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
 * Serve @a (all but offset filled in) through the hit @h: the epoch section lasts as long as
 * the call, which never sleeps.
 * Returns: false when nothing has happened and the thread has to do it.
 */
static inline bool access_fast(struct vcpu *v, struct gbus_access *a, const struct gbus_hit *h)
{
	struct gbus_range *r;
	bool done = false;

	epoch_enter_irqoff();
	r = gbus_hit_find(&v->vm->bus, h, a->addr, a->size);
	if (likely(r != NULL)) {
		a->offset = (uint32_t)(a->addr - r->base);
		done = r->fn(r, v, a, true);
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
