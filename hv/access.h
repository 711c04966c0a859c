/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The short way from the exit handler to a device: the window that this vCPU has used last
 * (struct gbus_hit), or a search. Inside hv/ only. Context: the vCPU's own thread, loaded, IRQs off.
 */
#ifndef RAYOS_HV_ACCESS_H
#define RAYOS_HV_ACCESS_H

#include "hv/vcpu.h"
#include "hv/virq.h"
#include "hv/vm.h"
#include "kernel/sched/epoch.h"

/** access_fast() outside the window hit last: search the bus, note what is found as *@h, which
 *  is the vCPU's port_hit or mmio_hit. Context: as there, inside its epoch section. */
bool access_missed(struct vcpu *v, struct gbus_hit *h, struct gbus_access *a);

/**
 * One access through the hit @h, described in v->access, which has what was read afterwards: on
 * the stack it would cost the handler a guarded frame. The epoch section lasts as long as the
 * device's function, which never sleeps.
 * @data  as struct gbus_access has it
 * Returns: false when nothing has happened and the thread has to do it.
 */
static inline bool access_fast(struct vcpu *v, struct gbus_hit *h, uint64_t addr,
			       unsigned int size, bool write, uint64_t data)
{
	struct gbus_access *a = &v->access;
	bool done;

	a->addr = addr;
	a->size = (uint8_t)size;
	a->write = write;
	a->data = data;
	epoch_enter_irqoff();
	if (likely(gbus_hit_holds(&v->vm->bus, h, addr, size))) {
		a->offset = (uint32_t)(addr - h->start);
		done = h->range->fn(h->range, v, a, true);
	} else {
		done = access_missed(v, h, a);
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
