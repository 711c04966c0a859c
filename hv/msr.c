/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MSRs a guest has. What is not listed here does not exist for it: #GP, counted.
 */
#include "hv/msr.h"

#include "hv/cpuid.h"
#include "hv/pv.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"

/* Values that never change. */
#define MTRRCAP_VALUE     0x508u /* 8 variable ranges, fixed ranges, WC */
#define MTRR_VAR_COUNT    16u    /* 8 pairs */
#define FEATURE_CONTROL_LOCKED 1u
#define MISC_ENABLE_FAST_STRING BIT(0)
#define VM_CR_SVMDIS      BIT(4)
#define DE_CFG_LFENCE     BIT(1) /* LFENCE serialises, as Linux sets it anyway */

static bool canonical(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

/* SDM vol. 3, 12.11.2.1: types 0, 1, 4, 5, 6. */
static bool mtrr_type_ok(uint64_t t)
{
	return t < 8 && (BIT(t) & (BIT(0) | BIT(1) | BIT(4) | BIT(5) | BIT(6))) != 0;
}

static bool bytes_ok(uint64_t v, bool (*ok)(uint64_t byte))
{
	for (unsigned int i = 0; i < 8; i++) {
		if (!ok(v >> (8 * i) & 0xff))
			return false;
	}
	return true;
}

/* SDM vol. 3, 12.12.2: UC- (7) is a PAT type besides those of the MTRRs. */
static bool pat_type_ok(uint64_t t)
{
	return t == 7 || mtrr_type_ok(t);
}

/* Index of a fixed-range MTRR, or -1. */
static int mtrr_fixed_index(uint32_t msr)
{
	if (msr == MSR_MTRR_FIX64K)
		return 0;
	if (msr == MSR_MTRR_FIX16K_80 || msr == MSR_MTRR_FIX16K_A0)
		return (int)(msr - MSR_MTRR_FIX16K_80) + 1;
	if (msr >= MSR_MTRR_FIX4K_C0 && msr < MSR_MTRR_FIX4K_C0 + 8)
		return (int)(msr - MSR_MTRR_FIX4K_C0) + 3;
	return -1;
}

/* MTRRs are stored and given back; second-level tables say WB and the guest's PAT rules. */
static bool is_mtrr(uint32_t msr)
{
	return mtrr_fixed_index(msr) >= 0 ||
	       (msr >= MSR_MTRR_PHYSBASE0 && msr < MSR_MTRR_PHYSBASE0 + MTRR_VAR_COUNT);
}

/* Where a vCPU keeps an MSR for which is_mtrr() holds. */
static uint64_t *mtrr_slot(struct vcpu *v, uint32_t msr)
{
	int fixed = mtrr_fixed_index(msr);

	return fixed >= 0 ? &v->mtrr_fixed[fixed] : &v->mtrr_var[msr - MSR_MTRR_PHYSBASE0];
}

static int mtrr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	uint64_t reserved = ~((1ull << v->cpuid->maxphyaddr) - 1);

	if (mtrr_fixed_index(msr) >= 0) {
		if (!bytes_ok(value, mtrr_type_ok))
			return -RAY_EFAULT;
	} else if ((msr & 1) != 0) {
		if ((value & (reserved | 0x7ff)) != 0)
			return -RAY_EFAULT;
	} else if ((value & (reserved | 0xf00)) != 0 || !mtrr_type_ok(value & 0xff)) {
		return -RAY_EFAULT;
	}
	*mtrr_slot(v, msr) = value;
	return 0;
}

/* Which backend register an MSR is, HV_REG_COUNT for none. */
static enum hv_reg backend_reg(uint32_t msr)
{
	switch (msr) {
	case MSR_EFER:
		return HV_REG_EFER;
	case MSR_PAT:
		return HV_REG_PAT;
	case MSR_STAR:
		return HV_REG_STAR;
	case MSR_LSTAR:
		return HV_REG_LSTAR;
	case MSR_CSTAR:
		return HV_REG_CSTAR;
	case MSR_SFMASK:
		return HV_REG_SFMASK;
	case MSR_KERNEL_GS_BASE:
		return HV_REG_KERNEL_GS_BASE;
	case MSR_SYSENTER_CS:
		return HV_REG_SYSENTER_CS;
	case MSR_SYSENTER_ESP:
		return HV_REG_SYSENTER_ESP;
	case MSR_SYSENTER_EIP:
		return HV_REG_SYSENTER_EIP;
	default:
		return HV_REG_COUNT;
	}
}

/* The AMD-only ones: 0 and *value, or -RAY_EFAULT. */
static int amd_read(uint32_t msr, uint64_t *value)
{
	switch (msr) {
	case MSR_AMD_SYSCFG:
	case MSR_AMD_HWCR:
	case MSR_AMD_NB_CFG:
	case MSR_AMD_INT_PENDING:
	case MSR_AMD_OSVW_LENGTH:
	case MSR_AMD_OSVW_STATUS:
	case MSR_AMD_LS_CFG:
		*value = 0;
		return 0;
	case MSR_AMD_VM_CR:
		*value = VM_CR_SVMDIS;
		return 0;
	case MSR_AMD_DE_CFG:
		*value = DE_CFG_LFENCE;
		return 0;
	default:
		return -RAY_EFAULT;
	}
}

/* Those with nothing but a value; -RAY_EFAULT for none of these. */
static int plain_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	switch (msr) {
	case MSR_TSC_ADJUST:
		*value = v->tsc_adjust;
		return 0;
	case MSR_PLATFORM_ID:
	case MSR_BIOS_SIGN_ID:
	case MSR_MCG_CAP:
	case MSR_MCG_STATUS:
	case MSR_DEBUGCTL:
		*value = 0;
		return 0;
	case MSR_FEATURE_CONTROL:
		*value = FEATURE_CONTROL_LOCKED;
		return 0;
	case MSR_MISC_ENABLE:
		*value = v->misc_enable;
		return 0;
	case MSR_MTRRCAP:
		*value = MTRRCAP_VALUE;
		return 0;
	case MSR_MTRR_DEF_TYPE:
		*value = v->mtrr_def_type;
		return 0;
	case MSR_TSC_AUX:
		*value = v->tsc_aux;
		return v->cpuid->rdtscp ? 0 : -RAY_EFAULT;
	case MSR_SPEC_CTRL:
		*value = v->spec_ctrl;
		return v->cpuid->spec_ctrl_mask != 0 ? 0 : -RAY_EFAULT;
	case MSR_ARCH_CAPABILITIES:
		*value = v->cpuid->arch_caps;
		return v->cpuid->has_arch_caps ? 0 : -RAY_EFAULT;
	default:
		return -RAY_EFAULT;
	}
}

static __noinline uint64_t segment_base(struct vcpu *v, enum hv_seg seg)
{
	struct hv_segment s;

	hv_backend->seg_get(v, seg, &s);
	return s.base;
}

/* One switch over all there are, so that what is not there is refused soon. */
static __noinline int other_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	switch (msr) {
	case MSR_TSC:
		*value = vcpu_guest_tsc(v);
		return 0;
	case MSR_PLATFORM_ID:
	case MSR_FEATURE_CONTROL:
	case MSR_TSC_ADJUST:
	case MSR_BIOS_SIGN_ID:
	case MSR_MTRRCAP:
	case MSR_MCG_CAP ... MSR_MCG_STATUS:
	case MSR_MISC_ENABLE:
	case MSR_DEBUGCTL:
	case MSR_MTRR_DEF_TYPE:
	case MSR_TSC_AUX:
	case MSR_SPEC_CTRL:
	case MSR_ARCH_CAPABILITIES:
		return plain_read(v, msr, value);
	case MSR_SYSENTER_CS ... MSR_SYSENTER_EIP:
	case MSR_PAT:
	case MSR_EFER ... MSR_SFMASK:
	case MSR_KERNEL_GS_BASE:
		*value = hv_backend->reg_get(v, backend_reg(msr));
		return 0;
	case MSR_MTRR_PHYSBASE0 ... MSR_MTRR_PHYSBASE0 + MTRR_VAR_COUNT - 1:
	case MSR_MTRR_FIX64K:
	case MSR_MTRR_FIX16K_80 ... MSR_MTRR_FIX16K_A0:
	case MSR_MTRR_FIX4K_C0 ... MSR_MTRR_FIX4K_C0 + 7:
		*value = *mtrr_slot(v, msr);
		return 0;
	case MSR_FS_BASE:
		*value = segment_base(v, HV_SEG_FS);
		return 0;
	case MSR_GS_BASE:
		*value = segment_base(v, HV_SEG_GS);
		return 0;
	case MSR_KVM_WALL_CLOCK ... MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_WALL_CLOCK_NEW ... MSR_KVM_PV_EOI_EN:
		return pv_msr_read(v, msr, value);
	case MSR_AMD_SYSCFG ... MSR_AMD_DE_CFG:
		return v->cpuid->amd ? amd_read(msr, value) : -RAY_EFAULT;
	default:
		return -RAY_EFAULT;
	}
}

/* By frequency, each with a branch of its own. */
static __force_inline bool is_lapic(uint32_t msr)
{
	if (likely(msr - MSR_X2APIC_FIRST <= MSR_X2APIC_LAST - MSR_X2APIC_FIRST))
		return true;
	if (msr == MSR_TSC_DEADLINE)
		return true;
	return msr == MSR_APIC_BASE;
}

int vcpu_msr_read(struct vcpu *v, uint32_t msr, uint64_t *value, bool fast)
{
	return is_lapic(msr) ? vlapic_msr_read(v, msr, value, fast) : other_read(v, msr, value);
}

/* SDM vol. 3, 4.1.1 and 2.2.1: LME may not change while paging is on. */
static int efer_write(struct vcpu *v, uint64_t value)
{
	uint64_t old = hv_backend->reg_get(v, HV_REG_EFER);
	bool paging = (hv_backend->reg_get(v, HV_REG_CR0) & HV_CR0_PG) != 0;

	if ((value & ~v->cpuid->efer_mask) != 0)
		return -RAY_EFAULT;
	if (paging && ((old ^ value) & HV_EFER_LME) != 0)
		return -RAY_EFAULT;
	/* LMA is read-only. */
	value = (value & ~HV_EFER_LMA) | (old & HV_EFER_LMA);
	hv_backend->reg_set(v, HV_REG_EFER, value);
	return 0;
}

static int reg_write(struct vcpu *v, enum hv_reg reg, uint64_t value)
{
	switch (reg) {
	case HV_REG_EFER:
		return efer_write(v, value);
	case HV_REG_PAT:
		if (!bytes_ok(value, pat_type_ok))
			return -RAY_EFAULT;
		break;
	case HV_REG_LSTAR:
	case HV_REG_CSTAR:
	case HV_REG_KERNEL_GS_BASE:
	case HV_REG_SYSENTER_ESP:
	case HV_REG_SYSENTER_EIP:
		if (!canonical(value))
			return -RAY_EFAULT;
		break;
	default:
		break;
	}
	hv_backend->reg_set(v, reg, value);
	return 0;
}

static void tsc_write(struct vcpu *v, uint64_t value)
{
	uint64_t delta = value - vcpu_guest_tsc(v);

	v->tsc_adjust += delta;
	v->tsc_offset += delta;
	hv_backend->tsc_offset_set(v, v->tsc_offset);
}

static void tsc_aux_write(struct vcpu *v, uint64_t value)
{
	v->tsc_aux = value;
	wrmsr(MSR_TSC_AUX, value);
}

static int spec_ctrl_write(struct vcpu *v, uint64_t value)
{
	if (v->cpuid->spec_ctrl_mask == 0 || (value & ~v->cpuid->spec_ctrl_mask) != 0)
		return -RAY_EFAULT;
	v->spec_ctrl = value;
	hv_backend->spec_ctrl_set(v, value);
	return 0;
}

/* The barrier acts on the CPU the guest runs on, which is this one. */
static int pred_cmd_write(const struct vcpu *v, uint64_t value)
{
	if (!v->cpuid->ibpb || (value & ~(uint64_t)PRED_CMD_IBPB) != 0)
		return -RAY_EFAULT;
	if (value != 0)
		wrmsr(MSR_PRED_CMD, value);
	return 0;
}

static int plain_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	switch (msr) {
	case MSR_TSC:
		tsc_write(v, value);
		return 0;
	case MSR_TSC_ADJUST:
		v->tsc_offset += value - v->tsc_adjust;
		v->tsc_adjust = value;
		hv_backend->tsc_offset_set(v, v->tsc_offset);
		return 0;
	case MSR_BIOS_SIGN_ID:
	case MSR_MCG_STATUS:
		return value == 0 ? 0 : -RAY_EFAULT;
	case MSR_MISC_ENABLE:
		v->misc_enable = value & MISC_ENABLE_FAST_STRING;
		return 0;
	case MSR_DEBUGCTL:
		/* LBR and BTF are not offered; writing zero is what kernels do. */
		return value == 0 ? 0 : -RAY_EFAULT;
	case MSR_MTRR_DEF_TYPE:
		if ((value & ~0xcffull) != 0 || !mtrr_type_ok(value & 0xff))
			return -RAY_EFAULT;
		v->mtrr_def_type = value;
		return 0;
	case MSR_TSC_AUX:
		if (!v->cpuid->rdtscp || value >> 32 != 0)
			return -RAY_EFAULT;
		tsc_aux_write(v, value);
		return 0;
	case MSR_SPEC_CTRL:
		return spec_ctrl_write(v, value);
	case MSR_PRED_CMD:
		return pred_cmd_write(v, value);
	default:
		return -RAY_EAGAIN; /* not one of these */
	}
}

/* Written by kernels on principle; accepted where it changes nothing. */
static int amd_write(uint32_t msr, uint64_t value)
{
	uint64_t now;

	if (amd_read(msr, &now) != 0)
		return -RAY_EFAULT;
	if (msr == MSR_AMD_HWCR)
		value &= ~(BIT(3) | BIT(6) | BIT(8) | BIT(24)); /* TLB, FF, IGNNE, TscFreqSel */
	if (msr == MSR_AMD_NB_CFG)
		value &= ~BIT(46); /* extended configuration through 0xCF8 */
	return value == now || msr == MSR_AMD_DE_CFG || msr == MSR_AMD_LS_CFG ? 0 : -RAY_EFAULT;
}

static __noinline int other_write(struct vcpu *v, uint32_t msr, uint64_t value, bool fast)
{
	int err = plain_write(v, msr, value);
	if (err != -RAY_EAGAIN)
		return err;
	enum hv_reg reg = backend_reg(msr);
	if (reg != HV_REG_COUNT)
		return reg_write(v, reg, value);
	if (is_mtrr(msr))
		return mtrr_write(v, msr, value);
	if (msr == MSR_FS_BASE || msr == MSR_GS_BASE) {
		enum hv_seg seg = msr == MSR_FS_BASE ? HV_SEG_FS : HV_SEG_GS;
		struct hv_segment s;

		if (!canonical(value))
			return -RAY_EFAULT;
		hv_backend->seg_get(v, seg, &s);
		s.base = value;
		hv_backend->seg_set(v, seg, &s);
		return 0;
	}
	if (v->cpuid->amd && amd_write(msr, value) == 0)
		return 0;
	return pv_msr_write(v, msr, value, fast);
}

int vcpu_msr_write(struct vcpu *v, uint32_t msr, uint64_t value, bool fast)
{
	return is_lapic(msr) ? vlapic_msr_write(v, msr, value, fast) : other_write(v, msr, value, fast);
}
