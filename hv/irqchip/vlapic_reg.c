/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC's registers as a guest sees them: xAPIC page, x2APIC MSRs, IA32_APIC_BASE
 * and IA32_TSC_DEADLINE (SDM vol. 3, 10.4 and 10.12).
 * Must not know: how an interrupt is chosen. Context: own vCPU thread.
 */
#include "hv/irqchip/irqchip_priv.h"

#include "hv/vm.h"
#include "kernel/lib/err.h"

/* Version 14h, six LVT entries, no EOI-broadcast suppression. */
#define VERSION_VALUE   (0x14u | (LVT_COUNT - 1) << 16)
#define SVR_WRITABLE    0x3ffu
#define ICR_WRITABLE    0xccfffu
#define PHYS_BITS_MAX   52

/* Bits a guest may set, and those it may only read. */
static const uint32_t lvt_writable[LVT_COUNT] = {
	[LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
	[LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff, [LVT_ERROR] = 0x100ff,
};
static const uint32_t lvt_readonly[LVT_COUNT] = {
	[LVT_TIMER] = 0x1000, [LVT_THERMAL] = 0x1000, [LVT_PERF] = 0x1000,
	[LVT_LINT0] = 0x5000, [LVT_LINT1] = 0x5000, [LVT_ERROR] = 0x1000,
};

static uint32_t vec_reg(const uint64_t w[VEC_WORDS], unsigned int n)
{
	return (uint32_t)(vec_word(w, n / 2) >> (n % 2 * 32));
}

static uint32_t ppr(const struct vlapic *l)
{
	unsigned int isr = vlapic_in_service(l) & 0xf0;

	return l->tpr >> 4 >= isr >> 4 ? l->tpr : isr;
}

/* What x2APIC mode has no more. */
static int xapic_read(const struct vlapic *l, unsigned int reg, uint32_t *value)
{
	switch (reg) {
	case LAPIC_APR:
	case LAPIC_RRD:
	case LAPIC_EOI:
		*value = 0;
		return 0;
	case LAPIC_DFR:
		*value = l->dfr;
		return 0;
	case LAPIC_ICR2:
		*value = l->icr2;
		return 0;
	default:
		return -RAY_EFAULT;
	}
}

static int reg_read(struct vlapic *l, unsigned int reg, uint32_t *value)
{
	bool x2 = l->mode == LAPIC_X2APIC;

	/* The guest may have ended the interrupt without telling yet. */
	if (l->pv_armed)
		vlapic_pv_eoi_sync(l->vcpu);
	switch (reg) {
	case LAPIC_ID:
		*value = x2 ? l->vcpu->id : l->vcpu->id << 24;
		return 0;
	case LAPIC_VERSION:
		*value = VERSION_VALUE;
		return 0;
	case LAPIC_TPR:
		*value = l->tpr;
		return 0;
	case LAPIC_PPR:
		*value = ppr(l);
		return 0;
	case LAPIC_LDR:
		*value = l->ldr;
		return 0;
	case LAPIC_SVR:
		*value = l->svr;
		return 0;
	case LAPIC_ESR:
		*value = l->esr;
		return 0;
	case LAPIC_ICR:
		*value = l->icr;
		return 0;
	case LAPIC_TMICT:
		*value = l->tmict;
		return 0;
	case LAPIC_TMCCT:
		*value = vlapic_timer_count(l);
		return 0;
	case LAPIC_TDCR:
		*value = l->tdcr;
		return 0;
	default:
		break;
	}
	if (reg >= LAPIC_ISR && reg < LAPIC_TMR)
		*value = vec_reg(l->isr, reg - LAPIC_ISR);
	else if (reg >= LAPIC_TMR && reg < LAPIC_IRR)
		*value = vec_reg(l->tmr, reg - LAPIC_TMR);
	else if (reg >= LAPIC_IRR && reg < LAPIC_ESR)
		*value = vec_reg(l->irr, reg - LAPIC_IRR);
	else if (reg >= LAPIC_LVT0 && reg < LAPIC_LVT0 + LVT_COUNT)
		*value = l->lvt[reg - LAPIC_LVT0];
	else
		return x2 ? -RAY_EFAULT : xapic_read(l, reg, value);
	return 0;
}

static int lvt_write(struct vlapic *l, unsigned int n, uint32_t value)
{
	if (l->mode == LAPIC_X2APIC && (value & ~(lvt_writable[n] | lvt_readonly[n])))
		return -RAY_EFAULT;
	value &= lvt_writable[n];
	if (!(l->svr & LAPIC_SVR_ENABLE))
		value |= LVT_MASKED;
	if (n == LVT_TIMER)
		vlapic_timer_lvt(l, value);
	else
		l->lvt[n] = value;
	if (n == LVT_LINT0)
		l->vcpu->irq_hint = true; /* the 8259 may have been waiting */
	return 0;
}

static int svr_write(struct vlapic *l, uint32_t value)
{
	if (l->mode == LAPIC_X2APIC && (value & ~SVR_WRITABLE))
		return -RAY_EFAULT;
	l->svr = value & SVR_WRITABLE;
	if (!(value & LAPIC_SVR_ENABLE)) {
		for (unsigned int i = 0; i < LVT_COUNT; i++)
			l->lvt[i] |= LVT_MASKED;
	}
	return 0;
}

static int esr_write(struct vlapic *l, uint32_t value)
{
	if (l->mode == LAPIC_X2APIC && value)
		return -RAY_EFAULT;
	l->esr = __atomic_exchange_n(&l->esr_new, 0, __ATOMIC_RELAXED);
	return 0;
}

/* What both modes write alike. */
static int reg_write(struct vlapic *l, unsigned int reg, uint32_t value, bool fast)
{
	switch (reg) {
	case LAPIC_TPR:
		if (l->mode == LAPIC_X2APIC && value > 0xff)
			return -RAY_EFAULT;
		vlapic_tpr_set(l, (uint8_t)value);
		return 0;
	case LAPIC_EOI:
		return vlapic_eoi(l, fast);
	case LAPIC_SVR:
		return svr_write(l, value);
	case LAPIC_ESR:
		return esr_write(l, value);
	case LAPIC_TMICT:
		vlapic_timer_count_set(l, value);
		return 0;
	case LAPIC_TDCR:
		if (l->mode == LAPIC_X2APIC && (value & ~0xbu))
			return -RAY_EFAULT;
		vlapic_timer_divide(l, value);
		return 0;
	default:
		if (reg >= LAPIC_LVT0 && reg < LAPIC_LVT0 + LVT_COUNT)
			return lvt_write(l, reg - LAPIC_LVT0, value);
		return -RAY_EFAULT;
	}
}

static int xapic_write(struct vlapic *l, unsigned int reg, uint32_t value, bool fast)
{
	switch (reg) {
	case LAPIC_ID: /* fixed on current CPUs (SDM vol. 3, 10.4.6) */
		return 0;
	case LAPIC_LDR:
		l->ldr = value & 0xff000000;
		return 0;
	case LAPIC_DFR:
		l->dfr = value | 0x0fffffff;
		return 0;
	case LAPIC_ICR:
		l->icr = value & ICR_WRITABLE;
		vlapic_icr(l->vcpu, l->icr, l->icr2 >> 24);
		return 0;
	case LAPIC_ICR2:
		l->icr2 = value & 0xff000000;
		return 0;
	default:
		return reg_write(l, reg, value, fast);
	}
}

bool vlapic_mmio(struct vcpu *vcpu, uint32_t off, bool write, uint32_t *value, bool fast)
{
	struct vlapic *l = vcpu->lapic;
	unsigned int reg = off >> 4;
	int err;

	/* Registers are 32 bits at 16-byte steps; between them there is nothing (10.4.1). */
	if (l->mode != LAPIC_XAPIC || (off & 0xf)) {
		if (!write)
			*value = l->mode == LAPIC_XAPIC ? 0 : UINT32_MAX;
		return true;
	}
	if (reg >= LAPIC_REG_COUNT)
		err = -RAY_EFAULT;
	else
		err = write ? xapic_write(l, reg, *value, fast) : reg_read(l, reg, value);
	if (err == -RAY_EAGAIN)
		return false;
	if (err) {
		if (!write)
			*value = 0;
		vlapic_error(l, ESR_ILLEGAL_REG);
	}
	return true;
}

#define ICR_SIMPLE 0xc8f00u /* delivery, logical, shorthand: all 0 */

/* One CPU, fixed, by its ID: what nearly every IPI is. */
static bool icr_simple(struct vcpu *vcpu, uint32_t icr, uint32_t dest)
{
	const struct vm *vm = vcpu->vm;

	if ((icr & ICR_SIMPLE) || (uint8_t)icr < 16 || dest >= vm->vcpu_count)
		return false;
	if (likely(vlapic_sw_enabled(vm->vcpu[dest]->lapic)))
		vlapic_set_irq(vm->vcpu[dest], (uint8_t)icr, false);
	return true;
}

static int x2apic_write(struct vlapic *l, uint32_t reg, uint64_t value, bool fast)
{
	if (reg == LAPIC_ICR) {
		if ((uint32_t)value & ~ICR_WRITABLE)
			return -RAY_EFAULT;
		l->icr = (uint32_t)value;
		l->icr2 = (uint32_t)(value >> 32);
		if (!icr_simple(l->vcpu, l->icr, l->icr2))
			vlapic_icr(l->vcpu, l->icr, l->icr2);
		return 0;
	}
	if (value >> 32)
		return -RAY_EFAULT;
	if (reg == LAPIC_SELF_IPI) {
		if (value > 0xff)
			return -RAY_EFAULT;
		if (value < 16)
			vlapic_error(l, ESR_SEND_ILLEGAL);
		else if (vlapic_sw_enabled(l))
			vlapic_set_irq(l->vcpu, (uint8_t)value, false);
		return 0;
	}
	return reg_write(l, reg, (uint32_t)value, fast);
}

/* SDM vol. 3, figure 10-27: which modes follow which. */
static int base_write(struct vlapic *l, uint64_t value)
{
	uint64_t fixed = l->base & APIC_BASE_BSP;
	bool en = value & APIC_BASE_EN, extd = value & APIC_BASE_EXTD;
	uint8_t mode = !en ? LAPIC_DISABLED : extd ? LAPIC_X2APIC : LAPIC_XAPIC;

	if ((value & 0x2ff) || value >> PHYS_BITS_MAX || (value & APIC_BASE_BSP) != fixed)
		return -RAY_EFAULT;
	if ((extd && !en) || (l->mode == LAPIC_X2APIC && mode == LAPIC_XAPIC) ||
	    (l->mode == LAPIC_DISABLED && mode == LAPIC_X2APIC))
		return -RAY_EFAULT;
	l->base = value;
	if (mode == l->mode)
		return 0;
	l->mode = mode;
	if (mode == LAPIC_X2APIC)
		l->ldr = vlapic_x2_ldr(l->vcpu->id);
	else
		vlapic_init_signal(l->vcpu); /* disabling or enabling: power-up state (10.4.3) */
	l->vcpu->irq_hint = true;
	return 0;
}

static __noinline int x2apic_read(struct vlapic *l, uint32_t reg, uint64_t *value)
{
	uint32_t v;
	int err;

	if (l->mode != LAPIC_X2APIC || reg >= LAPIC_SELF_IPI)
		return -RAY_EFAULT;
	err = reg_read(l, reg, &v);
	if (err)
		return err;
	*value = v;
	if (reg == LAPIC_ICR)
		*value |= (uint64_t)l->icr2 << 32;
	return 0;
}

int vlapic_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value, bool fast)
{
	struct vlapic *l = vcpu->lapic;

	(void)fast;
	if (msr == MSR_APIC_BASE) {
		*value = l->base;
		return 0;
	}
	if (msr == MSR_TSC_DEADLINE) {
		*value = LVT_TIMER_MODE(l->lvt[LVT_TIMER]) == TIMER_TSC_DEADLINE ? l->expiry : 0;
		return 0;
	}
	return x2apic_read(l, msr - LAPIC_MSR_BASE, value); /* huge below the base */
}

static __noinline int other_msr_write(struct vlapic *l, uint32_t msr, uint64_t value, bool fast)
{
	if (msr == MSR_APIC_BASE)
		return base_write(l, value);
	if (l->mode != LAPIC_X2APIC || msr < LAPIC_MSR_BASE ||
	    msr > LAPIC_MSR_BASE + LAPIC_SELF_IPI)
		return -RAY_EFAULT;
	if (value && msr == LAPIC_MSR_BASE + LAPIC_EOI)
		return -RAY_EFAULT;
	return x2apic_write(l, msr - LAPIC_MSR_BASE, value, fast);
}

int vlapic_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value, bool fast)
{
	struct vlapic *l = vcpu->lapic;

	if (likely(msr == LAPIC_MSR_BASE + LAPIC_EOI && l->mode == LAPIC_X2APIC && !value))
		return vlapic_eoi(l, fast);
	if (msr == MSR_TSC_DEADLINE) {
		vlapic_timer_deadline(l, value);
		return 0;
	}
	return other_msr_write(l, msr, value, fast);
}
