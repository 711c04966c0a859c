/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC's heart: which interrupt the CPU gets, its acceptance and its end.
 * Owns: IRR, ISR, TMR, priorities, the paravirtual EOI byte. Must not know: register layout,
 * who sends. Context: own vCPU thread with IRQs off, unless the header says otherwise.
 */
#include "hv/irqchip/irqchip_priv.h"

#include <string.h>

#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

void vlapic_set_irq(struct vcpu *vcpu, uint8_t vector, bool level)
{
	struct vlapic *l = vcpu->lapic;
	unsigned int word = vector >> 6;
	uint64_t bit = BIT(vector & 63);

	if (unlikely(vector < 16)) {
		vlapic_error(l, ESR_RECV_ILLEGAL);
		return;
	}
	if (likely(!level)) {
		vlapic_set_edge(vcpu, vector);
		return;
	}
	__atomic_fetch_or(&l->tmr[word], bit, __ATOMIC_RELAXED);
	if (__atomic_fetch_or(&l->irr[word], bit, __ATOMIC_SEQ_CST) & bit)
		return;
	vlapic_hint(l);
	vcpu_kick(vcpu);
}

void vlapic_lint0(struct vcpu *vcpu)
{
	struct vlapic *l = vcpu->lapic;
	uint32_t lint0 = l->lvt[LVT_LINT0];

	if (vlapic_takes_extint(l)) {
		vlapic_hint(l);
		vcpu_kick(vcpu);
	} else if (!(lint0 & LVT_MASKED)) {
		if (LVT_DELIVERY(lint0) == DELIVER_FIXED)
			vlapic_set_irq(vcpu, (uint8_t)lint0, false);
		else if (LVT_DELIVERY(lint0) == DELIVER_NMI)
			vcpu_request(vcpu, VCPU_REQ_NMI);
	}
}

void vlapic_error(struct vlapic *l, uint32_t esr_bit)
{
	uint32_t lvt = l->lvt[LVT_ERROR];

	__atomic_fetch_or(&l->esr_new, esr_bit, __ATOMIC_RELAXED);
	if (!(lvt & LVT_MASKED) && (uint8_t)lvt >= 16)
		vlapic_set_irq(l->vcpu, (uint8_t)lvt, false);
}

/* Whether the 8259 pair signals INTR. */
static __force_inline bool intr_pending(const struct vcpu *vcpu)
{
	return vcpu->vm->pic->out;
}

/* The highest in service is so no more. */
static __force_inline void in_service_drop(struct vlapic *l, unsigned int vec)
{
	l->depth--;
	l->isr[vec >> 6] &= ~BIT(vec & 63);
}

/*
 * How the offer to end the highest by the guest's byte has been taken. The bit still set means
 * that its handler has not ended: the offer is taken back, a real EOI follows.
 * Returns: whether an interrupt has ended. Pre: armed, so it was an edge
 */
static __force_inline bool pv_eoi_settle(struct vlapic *l)
{
	volatile uint8_t *flag = l->pv_eoi;

	l->pv_armed = false;
	if (*flag & 1) {
		*flag &= (uint8_t)~1u;
		return false;
	}
	if (!l->depth)
		return false;
	in_service_drop(l, l->stack[l->depth - 1]);
	return true;
}

int vlapic_pending(struct vcpu *vcpu)
{
	struct vlapic *l = vcpu->lapic;
	int vec;

	/* Before the scan, so that a bit set during it brings us back. */
	__atomic_store_n(&vcpu->irq_hint, false, __ATOMIC_SEQ_CST);
	if (l->pv_armed)
		(void)pv_eoi_settle(l);
	if (unlikely(intr_pending(vcpu)) && (vlapic_takes_extint(l) || l->ext_intr)) {
		vec = VLAPIC_EXTINT;
	} else {
		vec = vec_highest(l->irr);
		if (vec < 0 || (unsigned int)vec >> 4 <= vlapic_ppr_class(l))
			return -1;
	}
	l->candidate = (int16_t)vec;
	vcpu->irq_hint = true;
	return vec;
}

int vlapic_tpr_blocked(struct vcpu *vcpu)
{
	const struct vlapic *l = vcpu->lapic;
	int vec = vec_highest(l->irr);
	int isr = (int)vlapic_in_service(l) >> 4;

	return vec >= 0 && vec >> 4 > isr && vec >> 4 <= l->tpr >> 4 ? vec : -1;
}

static void pv_eoi_arm(struct vlapic *l, unsigned int vec)
{
	/* A level interrupt's EOI must reach the IOAPIC, and one that waits must be let in. */
	if (l->vcpu->irq_hint || vec_test(l->tmr, vec))
		return;
	*(volatile uint8_t *)l->pv_eoi |= 1;
	l->pv_armed = true;
}

static __noinline int ack_extint(struct vcpu *vcpu)
{
	int vec;

	vcpu->lapic->ext_intr = false;
	vec = vpic_ack(vcpu->vm);
	vlapic_hint(vcpu->lapic);
	return vec;
}

int vlapic_ack(struct vcpu *vcpu)
{
	struct vlapic *l = vcpu->lapic;
	unsigned int vec = (unsigned int)l->candidate;

	if (unlikely(vec == VLAPIC_EXTINT))
		return ack_extint(vcpu);
	__atomic_fetch_and(&l->irr[vec >> 6], ~BIT(vec & 63), __ATOMIC_RELAXED);
	l->isr[vec >> 6] |= BIT(vec & 63);
	/* It outranks what is in service, so there is room: one vector per class. */
	l->stack[l->depth++ % VEC_CLASSES] = (uint8_t)vec;
	__atomic_store_n(&vcpu->irq_hint, false, __ATOMIC_SEQ_CST);
	if (unlikely(vec_any(l->irr) || intr_pending(vcpu)))
		vcpu->irq_hint = true;
	if (l->pv_eoi)
		pv_eoi_arm(l, vec);
	return (int)vec;
}

/* The highest in service has ended; not called when there is none. */
static __force_inline void eoi_highest(struct vlapic *l, unsigned int vec)
{
	in_service_drop(l, vec);
	if (vec_any(l->irr))
		l->vcpu->irq_hint = true;
}

static __noinline int eoi_level(struct vlapic *l, unsigned int vec, bool fast)
{
	if (fast)
		return -RAY_EAGAIN; /* the IOAPIC has a lock */
	eoi_highest(l, vec);
	vioapic_eoi(l->vcpu->vm, (uint8_t)vec);
	return 0;
}

/* Every interrupt ends here: with the fewest tests. */
int vlapic_eoi(struct vlapic *l, bool fast)
{
	unsigned int vec;

	if (unlikely(l->pv_armed))
		vlapic_pv_eoi_sync(l->vcpu);
	if (!l->depth)
		return 0;
	vec = l->stack[l->depth - 1];
	if (unlikely(vec_test(l->tmr, vec)))
		return eoi_level(l, vec, fast);
	eoi_highest(l, vec);
	return 0;
}

void vlapic_tpr_set(struct vlapic *l, uint8_t tpr)
{
	bool lower = tpr < l->tpr;

	l->tpr = tpr;
	l->vcpu->cr8 = tpr >> 4;
	if (lower && vec_any(l->irr))
		l->vcpu->irq_hint = true;
}

uint64_t vlapic_cr8_get(const struct vcpu *vcpu)
{
	return vcpu->lapic->tpr >> 4;
}

void vlapic_cr8_set(struct vcpu *vcpu, uint64_t cr8)
{
	vlapic_tpr_set(vcpu->lapic, (uint8_t)((cr8 & 0xf) << 4));
}

void vlapic_pv_eoi_sync(struct vcpu *vcpu)
{
	struct vlapic *l = vcpu->lapic;

	if (l->pv_armed && pv_eoi_settle(l) && vec_any(l->irr))
		vcpu->irq_hint = true;
}

/* The guest's flag, pinned while it is on. */
#define PV_EOI_GPA(msr) GPA((msr) & ~3ull)
#define PV_EOI_SIZE     4u

static void pv_eoi_drop(struct vlapic *l)
{
	if (l->pv_eoi)
		gmem_unpin(&l->vcpu->vm->mem, PV_EOI_GPA(l->pv_eoi_msr), PV_EOI_SIZE);
	l->pv_eoi = NULL;
	l->pv_eoi_msr = 0;
}

int vlapic_pv_eoi_set(struct vcpu *vcpu, uint64_t msr)
{
	struct vlapic *l = vcpu->lapic;
	int err = 0;

	if (msr & 2)
		return -RAY_EFAULT;
	if (msr & 1)
		err = vcpu_pin(vcpu, PV_EOI_GPA(msr), PV_EOI_SIZE);
	if (err)
		return err;
	vlapic_pv_eoi_sync(vcpu);
	pv_eoi_drop(l);
	if (msr & 1)
		l->pv_eoi = gmem_ptr(&vcpu->vm->mem, PV_EOI_GPA(msr), PV_EOI_SIZE);
	l->pv_eoi_msr = msr;
	return 0;
}

uint64_t vlapic_base(const struct vcpu *vcpu)
{
	return vcpu->lapic->base;
}

/* State after INIT; base, mode and ID stay (SDM vol. 3, 10.4.7.3 and 10.12.5.1). */
void vlapic_init_signal(struct vcpu *vcpu)
{
	struct vlapic *l = vcpu->lapic;

	vlapic_timer_stop(l);
	if (l->pv_armed)
		vlapic_pv_eoi_sync(vcpu);
	memset(l->irr, 0, sizeof(l->irr));
	memset(l->isr, 0, sizeof(l->isr));
	memset(l->tmr, 0, sizeof(l->tmr));
	l->depth = 0;
	l->candidate = -1;
	vcpu->irq_hint = false;
	l->ext_intr = false;
	l->tpr = 0;
	vcpu->cr8 = 0;
	l->svr = 0xff;
	l->dfr = UINT32_MAX;
	l->ldr = l->mode == LAPIC_X2APIC ? vlapic_x2_ldr(vcpu->id) : 0;
	l->esr = l->esr_new = 0;
	l->icr = l->icr2 = 0;
	l->tmict = l->tdcr = 0;
	l->period = 0;
	for (unsigned int i = 0; i < LVT_COUNT; i++)
		l->lvt[i] = LVT_MASKED;
	/* There is no firmware to set up virtual wire mode (MP specification 3.6.2.2). */
	if (vcpu->id == 0)
		l->lvt[LVT_LINT0] = DELIVER_EXTINT << 8;
}

void vlapic_reset(struct vcpu *vcpu)
{
	struct vlapic *l = vcpu->lapic;

	l->base = APIC_BASE_DEFAULT | APIC_BASE_EN | (vcpu->id == 0 ? APIC_BASE_BSP : 0);
	l->mode = LAPIC_XAPIC;
	vlapic_init_signal(vcpu);
	pv_eoi_drop(l);
	l->quiesced = false;
}

int vlapic_create(struct vcpu *vcpu)
{
	struct vlapic *l = kzalloc(sizeof(*l), MEM_VM);

	if (!l)
		return -RAY_ENOMEM;
	l->vcpu = vcpu;
	vlapic_timer_init(l);
	vcpu->lapic = l;
	vlapic_reset(vcpu);
	return 0;
}

void vlapic_destroy(struct vcpu *vcpu)
{
	if (!vcpu->lapic)
		return;
	timer_cancel(&vcpu->lapic->timer);
	pv_eoi_drop(vcpu->lapic);
	kfree(vcpu->lapic);
	vcpu->lapic = NULL;
}
