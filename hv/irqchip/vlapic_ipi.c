/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt messages: from an ICR, an IOAPIC or an MSI to the local APICs they mean.
 * Must not know: registers, pins. Context: any but NMI, lock-free.
 */
#include "hv/irqchip/irqchip_priv.h"

#include "hv/vm.h"

#define ICR_SHORTHAND(icr) (((icr) >> 18) & 3u)
#define SHORTHAND_SELF     1u
#define SHORTHAND_ALL      2u
#define SHORTHAND_OTHERS   3u

/* SDM vol. 3, 10.6.2.2 and 10.12.10.2. An 8-bit logical ID reaches x2APIC cluster 0. */
static bool logical_match(const struct vlapic *l, uint32_t dest)
{
	uint32_t id;

	if (l->mode == LAPIC_X2APIC)
		return dest >> 16 == l->ldr >> 16 && (dest & l->ldr & 0xffff);
	id = l->ldr >> 24;
	if (l->dfr >> 28 == 0xf)
		return (dest & id) != 0;
	if (l->dfr >> 28 != 0)
		return false;
	return (dest >> 4 == id >> 4 || dest >> 4 == 0xf) && (dest & id & 0xf);
}

static bool deliver_one(struct vcpu *v, const struct virq_msg *m)
{
	struct vlapic *l = v->lapic;

	switch (m->delivery) {
	case DELIVER_FIXED:
	case DELIVER_LOWEST:
		if (!vlapic_sw_enabled(l))
			return false;
		vlapic_set_irq(v, m->vector, m->level);
		return true;
	case DELIVER_NMI:
		vcpu_request(v, VCPU_REQ_NMI);
		return true;
	case DELIVER_INIT:
		vcpu_request(v, VCPU_REQ_INIT);
		return true;
	case DELIVER_SIPI:
		v->sipi_vector = m->vector;
		vcpu_request(v, VCPU_REQ_SIPI);
		return true;
	case DELIVER_EXTINT:
		l->ext_intr = true;
		vlapic_hint(l);
		vcpu_kick(v);
		return true;
	case DELIVER_SMI: /* nobody to handle it: taken and forgotten */
		return true;
	default:
		return false;
	}
}

/* One of the matching CPUs gets it; they take turns, as no two are ever equally busy. */
static unsigned int deliver_lowest(struct vm *vm, const struct virq_msg *m, uint32_t matches)
{
	uint32_t start = __atomic_fetch_add(&vm->ioapic->rotate, 1, __ATOMIC_RELAXED);

	for (unsigned int n = 0; n < vm->vcpu_count; n++) {
		unsigned int i = (start + n) % vm->vcpu_count;

		if ((matches & BIT(i)) && deliver_one(vm->vcpu[i], m))
			return 1;
	}
	return 0;
}

unsigned int vlapic_send(struct vm *vm, const struct virq_msg *m, const struct vcpu *except)
{
	unsigned int reached = 0;
	uint32_t matches = 0;

	if (likely(!m->logical && !m->broadcast)) {
		if (m->dest >= vm->vcpu_count || vm->vcpu[m->dest] == except ||
		    vm->vcpu[m->dest]->lapic->mode == LAPIC_DISABLED)
			return 0;
		return deliver_one(vm->vcpu[m->dest], m);
	}
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *v = vm->vcpu[i];

		if (v == except || v->lapic->mode == LAPIC_DISABLED)
			continue;
		if (m->broadcast || logical_match(v->lapic, m->dest))
			matches |= (uint32_t)BIT(i);
	}
	if (m->delivery == DELIVER_LOWEST)
		return deliver_lowest(vm, m, matches);
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		if ((matches & BIT(i)) && deliver_one(vm->vcpu[i], m))
			reached++;
	}
	return reached;
}

void vlapic_icr(struct vcpu *vcpu, uint64_t icr, uint32_t dest)
{
	struct vlapic *l = vcpu->lapic;
	struct virq_msg m = {
		.dest = dest,
		.delivery = (icr >> 8) & 7,
		.vector = (uint8_t)icr,
		.logical = (icr >> 11) & 1,
		.broadcast = dest == (l->mode == LAPIC_X2APIC ? UINT32_MAX : 0xffu),
	};
	const struct vcpu *except = NULL;

	if (m.delivery <= DELIVER_LOWEST && unlikely(m.vector < 16)) {
		vlapic_error(l, ESR_SEND_ILLEGAL);
		return;
	}
	/* INIT level de-assert only synchronised arbitration IDs, long ago (SDM 10.6.1). */
	if (m.delivery == DELIVER_INIT && (icr & BIT(15)) && !(icr & BIT(14)))
		return;
	switch (ICR_SHORTHAND(icr)) {
	case SHORTHAND_SELF:
		deliver_one(vcpu, &m);
		return;
	case SHORTHAND_OTHERS:
		except = vcpu;
		/* fallthrough */
	case SHORTHAND_ALL:
		m.broadcast = true;
		break;
	default:
		break;
	}
	vlapic_send(vcpu->vm, &m, except);
}

static __noinline unsigned int msi_decode(struct vm *vm, uint64_t addr, uint32_t data)
{
	struct virq_msg m = {
		.dest = (addr >> 12) & 0xff,
		.delivery = (data >> 8) & 7,
		.vector = (uint8_t)data,
		.logical = (addr >> 2) & 1,
		.level = (data >> 15) & 1,
		.broadcast = ((addr >> 12) & 0xff) == 0xff,
	};

	if (addr >> 20 != APIC_BASE_DEFAULT >> 20 || m.delivery == DELIVER_SIPI)
		return 0;
	/* With the redirection hint a fixed message goes to one of its destinations (10.11.1). */
	if ((addr & BIT(3)) && m.delivery == DELIVER_FIXED)
		m.delivery = DELIVER_LOWEST;
	return vlapic_send(vm, &m, NULL);
}

/* Physical destination, no redirection hint; fixed and edge. */
#define MSI_ADDR_SIMPLE(addr) (((addr) & ~0xff000ull) == APIC_BASE_DEFAULT)
#define MSI_DATA_SIMPLE(data) (((data) & 0x8700u) == 0 && ((data) & 0xf0u) != 0)

unsigned int virq_msi_send(struct vm *vm, uint64_t addr, uint32_t data)
{
	unsigned int dest = (addr >> 12) & 0xff;

	/* One CPU by its ID: what nearly every message is. */
	if (unlikely(!MSI_ADDR_SIMPLE(addr) || !MSI_DATA_SIMPLE(data) || dest >= vm->vcpu_count))
		return msi_decode(vm, addr, data);
	if (unlikely(!vlapic_sw_enabled(vm->vcpu[dest]->lapic)))
		return 0;
	vlapic_set_edge(vm->vcpu[dest], (uint8_t)data);
	return 1;
}
