/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC's state record. Pre everywhere: the vCPU is stopped.
 */
#include "hv/irqchip/irqchip_priv.h"

#include <string.h>

#include "hv/vm.h"
#include "kernel/lib/err.h"

/* What a record holds, in its order. */
struct record {
	uint64_t base, pv_eoi_msr, timer_left;
	uint64_t irr[VEC_WORDS], isr[VEC_WORDS], tmr[VEC_WORDS];
	uint32_t svr, ldr, dfr, esr, esr_new, icr, icr2;
	uint32_t lvt[LVT_COUNT];
	uint32_t tmict, tdcr;
	uint8_t tpr, ext_intr;
};

void vlapic_save(struct vcpu *vcpu, struct state_buf *b)
{
	struct vlapic *l = vcpu->lapic;

	/* Through gmem: a page with the offer taken back counts as dirty. */
	if (l->pv_armed) {
		uint8_t flag;

		vlapic_pv_eoi_sync(vcpu);
		flag = *(volatile uint8_t *)l->pv_eoi;
		if (gmem_write(&vcpu->vm->mem, GPA(l->pv_eoi_msr & ~3ull), &flag, 1))
			b->bad = true;
	}
	state_put_u64(b, l->base);
	state_put_u64(b, l->pv_eoi_msr);
	state_put_u64(b, vlapic_timer_left(l));
	state_put(b, l->irr, sizeof(l->irr));
	state_put(b, l->isr, sizeof(l->isr));
	state_put(b, l->tmr, sizeof(l->tmr));
	state_put_u32(b, l->svr);
	state_put_u32(b, l->ldr);
	state_put_u32(b, l->dfr);
	state_put_u32(b, l->esr);
	state_put_u32(b, l->esr_new);
	state_put_u32(b, l->icr);
	state_put_u32(b, l->icr2);
	state_put(b, l->lvt, sizeof(l->lvt));
	state_put_u32(b, l->tmict);
	state_put_u32(b, l->tdcr);
	state_put_u8(b, l->tpr);
	state_put_u8(b, l->ext_intr);
}

/* A vector is only accepted above the class of all in service (SDM vol. 3, 10.8.3.1). */
static bool one_per_class(const uint64_t isr[VEC_WORDS])
{
	for (unsigned int c = 0; c < VEC_CLASSES; c++) {
		uint16_t bits = (uint16_t)(isr[c / 4] >> (c % 4 * 16));

		if (bits & (bits - 1))
			return false;
	}
	return true;
}

static bool record_valid(const struct vcpu *vcpu, const struct record *r)
{
	uint64_t bsp = vcpu->id == 0 ? APIC_BASE_BSP : 0;
	bool en = r->base & APIC_BASE_EN, extd = r->base & APIC_BASE_EXTD;

	if ((r->base & 0x2ff) || (r->base & APIC_BASE_BSP) != bsp || (extd && !en))
		return false;
	if (((r->irr[0] | r->isr[0]) & 0xffff) || !one_per_class(r->isr))
		return false;
	if ((r->svr & ~0x3ffu) || (r->icr & ~0xccfffu) || (r->tdcr & ~0xbu) || r->ext_intr > 1)
		return false;
	if (extd && r->ldr != vlapic_x2_ldr(vcpu->id))
		return false;
	for (unsigned int i = 0; i < LVT_COUNT; i++) {
		if (r->lvt[i] & ~0x7a7ffu)
			return false;
	}
	/* A count cannot be further away than one full period. */
	return LVT_TIMER_MODE(r->lvt[LVT_TIMER]) == TIMER_TSC_DEADLINE ||
	       r->timer_left <= MAX((uint64_t)UINT32_MAX << 7, 1ull);
}

static void record_get(struct state_buf *b, struct record *r)
{
	r->base = state_get_u64(b);
	r->pv_eoi_msr = state_get_u64(b);
	r->timer_left = state_get_u64(b);
	state_get(b, r->irr, sizeof(r->irr));
	state_get(b, r->isr, sizeof(r->isr));
	state_get(b, r->tmr, sizeof(r->tmr));
	r->svr = state_get_u32(b);
	r->ldr = state_get_u32(b);
	r->dfr = state_get_u32(b);
	r->esr = state_get_u32(b);
	r->esr_new = state_get_u32(b);
	r->icr = state_get_u32(b);
	r->icr2 = state_get_u32(b);
	state_get(b, r->lvt, sizeof(r->lvt));
	r->tmict = state_get_u32(b);
	r->tdcr = state_get_u32(b);
	r->tpr = state_get_u8(b);
	r->ext_intr = state_get_u8(b);
}

static void record_apply(struct vlapic *l, const struct record *r)
{
	bool en = r->base & APIC_BASE_EN, extd = r->base & APIC_BASE_EXTD;

	vlapic_timer_stop(l);
	l->base = r->base;
	l->mode = !en ? LAPIC_DISABLED : extd ? LAPIC_X2APIC : LAPIC_XAPIC;
	memcpy(l->irr, r->irr, sizeof(l->irr));
	memcpy(l->isr, r->isr, sizeof(l->isr));
	memcpy(l->tmr, r->tmr, sizeof(l->tmr));
	l->depth = 0;
	for (unsigned int vec = 16; vec < 256; vec++) {
		if (vec_test(l->isr, vec))
			l->stack[l->depth++] = (uint8_t)vec;
	}
	l->candidate = -1;
	l->svr = r->svr;
	l->ldr = r->ldr;
	l->dfr = r->dfr;
	l->esr = r->esr;
	l->esr_new = r->esr_new;
	l->icr = r->icr;
	l->icr2 = r->icr2;
	memcpy(l->lvt, r->lvt, sizeof(l->lvt));
	l->tmict = r->tmict;
	l->tdcr = r->tdcr;
	l->tpr = r->tpr;
	l->vcpu->cr8 = r->tpr >> 4;
	l->ext_intr = r->ext_intr;
	l->period = (uint64_t)r->tmict << vlapic_timer_shift(r->tdcr);
	l->vcpu->irq_hint = true;
	vlapic_timer_restart(l, r->timer_left);
}

int vlapic_load(struct vcpu *vcpu, struct state_buf *b, uint32_t version)
{
	struct record r;

	if (version != VLAPIC_STATE_VERSION)
		return -RAY_EINVAL;
	record_get(b, &r);
	if (b->bad || !record_valid(vcpu, &r))
		return -RAY_EINVAL;
	/* Before what is in service, which taking back an offer may change. */
	if (vlapic_pv_eoi_set(vcpu, r.pv_eoi_msr))
		return -RAY_EINVAL;
	record_apply(vcpu->lapic, &r);
	return 0;
}
