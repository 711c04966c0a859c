// SPDX-License-Identifier: Apache-2.0
/*
 * Registers and segments of the VMCS by their neutral names. CR0, CR4 and EFER are not plain
 * fields: some bits are the host's, and long mode is also an entry control.
 */
#include "hv/vcpu.h"
#include "hv/vmx/vmx_ctl.h"
#include "hv/vmx/vmx_priv.h"
#include "kernel/arch/cpu.h"

#define SEG_BUSY   0x2u
#define LIMIT_BYTE 0xfffffu /* the largest limit without granularity */

/* Plain fields; 0 where the register is something else. */
static const uint16_t fields[HV_REG_COUNT] = {
	[HV_REG_CR3] = VMCS_GUEST_CR3,
	[HV_REG_DR7] = VMCS_GUEST_DR7,
	[HV_REG_EFER] = VMCS_GUEST_EFER,
	[HV_REG_PAT] = VMCS_GUEST_PAT,
	[HV_REG_SYSENTER_CS] = VMCS_GUEST_SYSENTER_CS,
	[HV_REG_SYSENTER_ESP] = VMCS_GUEST_SYSENTER_ESP,
	[HV_REG_SYSENTER_EIP] = VMCS_GUEST_SYSENTER_EIP,
	[HV_REG_DEBUGCTL] = VMCS_GUEST_DEBUGCTL,
};

static uint64_t msr_get(const struct vmx_vcpu *vx, enum vmx_guest_msr m)
{
	return vx->loaded ? rdmsr(vmx_msr_index[m]) : vx->msr[m];
}

static void msr_set(struct vmx_vcpu *vx, enum vmx_guest_msr m, uint64_t value)
{
	if (vx->loaded)
		wrmsr(vmx_msr_index[m], value);
	vx->msr[m] = value;
}

/* What the guest believes: its own bits from the register, the host's from the shadow. */
static uint64_t cr_get(uint64_t field, uint64_t shadow, uint64_t mask)
{
	return (vmx_read(field) & ~mask) | (vmx_read(shadow) & mask);
}

static uint64_t reg_read(const struct vcpu *vcpu, enum hv_reg reg)
{
	const struct vmx_vcpu *vx = vcpu->vmx;

	switch (reg) {
	case HV_REG_DR6: /* in the CPU, not the VMCS */
		return vx->loaded ? dr6_read() : vcpu->dr6;
	case HV_REG_CR2:
		return vx->loaded ? cr2_read() : vx->cr2;
	case HV_REG_CR0:
		return cr_get(VMCS_GUEST_CR0, VMCS_CR0_SHADOW, vmx_config.cr0_mask);
	case HV_REG_CR4:
		return cr_get(VMCS_GUEST_CR4, VMCS_CR4_SHADOW, vmx_config.cr4_mask);
	case HV_REG_STAR:
	case HV_REG_LSTAR:
	case HV_REG_CSTAR:
	case HV_REG_SFMASK:
	case HV_REG_KERNEL_GS_BASE:
		return msr_get(vx, (enum vmx_guest_msr)(VMX_MSR_STAR + (reg - HV_REG_STAR)));
	case HV_REG_INTR_SHADOW:
		return vmx_read(VMCS_GUEST_INTR_STATE) & (VMX_INTR_STI | VMX_INTR_MOVSS);
	case HV_REG_NMI_BLOCKED:
		return (vmx_read(VMCS_GUEST_INTR_STATE) & VMX_INTR_NMI) != 0;
	default:
		return vmx_read(fields[reg]);
	}
}

static __noinline uint64_t reg_read_unloaded(struct vcpu *vcpu, enum hv_reg reg)
{
	struct vmx_access a;
	uint64_t v;

	vmx_access_begin(vcpu->vmx, &a);
	v = reg_read(vcpu, reg);
	vmx_access_end(vcpu->vmx, &a);
	return v;
}

/* Emulation reads registers at every exit it serves: the common case goes straight there. */
uint64_t vmx_reg_get(struct vcpu *vcpu, enum hv_reg reg)
{
	return likely(vcpu->vmx->loaded) ? reg_read(vcpu, reg) : reg_read_unloaded(vcpu, reg);
}

/* LMA follows LME and PG, and the entry control follows LMA (SDM vol. 3, 27.2, 27.3.1.1). */
static void long_mode_sync(uint64_t cr0, uint64_t efer)
{
	uint64_t entry = vmx_read(VMCS_ENTRY_CTL) & ~(uint64_t)VMX_ENTRY_IA32E;

	efer &= ~HV_EFER_LMA;
	if ((efer & HV_EFER_LME) && (cr0 & HV_CR0_PG)) {
		efer |= HV_EFER_LMA;
		entry |= VMX_ENTRY_IA32E;
	}
	vmx_write(VMCS_GUEST_EFER, efer);
	vmx_write(VMCS_ENTRY_CTL, entry);
}

static void cr0_set(struct vmx_vcpu *vx, uint64_t value)
{
	uint64_t hw = (value & ~(HV_CR0_CD | HV_CR0_NW)) | vmx_config.cr0_fixed | HV_CR0_ET;

	if ((value ^ cr_get(VMCS_GUEST_CR0, VMCS_CR0_SHADOW, vmx_config.cr0_mask)) &
	    HV_CR0_PDPTE_LOAD)
		vx->extra |= VMX_EXTRA_PDPTE;
	vmx_write(VMCS_GUEST_CR0, hw);
	vmx_write(VMCS_CR0_SHADOW, value);
	long_mode_sync(value, vmx_read(VMCS_GUEST_EFER));
}

static void intr_state_put(uint64_t mask, uint64_t value)
{
	uint64_t old = vmx_read(VMCS_GUEST_INTR_STATE);

	if ((old & mask) != value)
		vmx_write(VMCS_GUEST_INTR_STATE, (old & ~mask) | value);
}

static void reg_write(struct vcpu *vcpu, enum hv_reg reg, uint64_t value)
{
	struct vmx_vcpu *vx = vcpu->vmx;

	switch (reg) {
	case HV_REG_DR6:
		vcpu->dr6 = value;
		if (vx->loaded)
			dr6_write(value);
		break;
	case HV_REG_CR2:
		vx->cr2 = value;
		if (vx->loaded)
			cr2_write(value);
		break;
	case HV_REG_INTR_SHADOW:
		intr_state_put(VMX_INTR_STI | VMX_INTR_MOVSS,
			       value & (VMX_INTR_STI | VMX_INTR_MOVSS));
		break;
	case HV_REG_NMI_BLOCKED:
		intr_state_put(VMX_INTR_NMI, value ? VMX_INTR_NMI : 0);
		break;
	case HV_REG_CR0:
		cr0_set(vx, value);
		break;
	case HV_REG_CR4:
		if ((value ^ reg_read(vcpu, HV_REG_CR4)) & HV_CR4_PDPTE_LOAD)
			vx->extra |= VMX_EXTRA_PDPTE;
		vmx_write(VMCS_GUEST_CR4, value | vmx_config.cr4_on);
		vmx_write(VMCS_CR4_SHADOW, value);
		break;
	case HV_REG_EFER:
		long_mode_sync(vmx_read(VMCS_GUEST_CR0), value);
		break;
	case HV_REG_CR3:
		vmx_write(VMCS_GUEST_CR3, value);
		vx->extra |= VMX_EXTRA_PDPTE;
		break;
	case HV_REG_STAR:
	case HV_REG_LSTAR:
	case HV_REG_CSTAR:
	case HV_REG_SFMASK:
	case HV_REG_KERNEL_GS_BASE:
		msr_set(vx, (enum vmx_guest_msr)(VMX_MSR_STAR + (reg - HV_REG_STAR)), value);
		break;
	default:
		vmx_write(fields[reg], value);
		break;
	}
}

BUILD_ASSERT(HV_REG_KERNEL_GS_BASE - HV_REG_STAR == VMX_MSR_KERNEL_GS_BASE - VMX_MSR_STAR,
	     "the system-call MSRs stand in the same order in both lists");

void vmx_reg_set(struct vcpu *vcpu, enum hv_reg reg, uint64_t value)
{
	struct vmx_access a;

	vmx_access_begin(vcpu->vmx, &a);
	reg_write(vcpu, reg, value);
	vmx_access_end(vcpu->vmx, &a);
}

/* ES to TR have four fields each, two apart; GDTR and IDTR have two. */
static uint64_t seg_field(uint64_t first, enum hv_seg seg)
{
	return first + 2u * (unsigned int)seg;
}

static void seg_read(enum hv_seg seg, struct hv_segment *out)
{
	out->base = vmx_read(seg_field(VMCS_GUEST_ES_BASE, seg));
	out->limit = (uint32_t)vmx_read(seg_field(VMCS_GUEST_ES_LIMIT, seg));
	out->selector = 0;
	out->attr = 0;
	if (seg < HV_SEG_GDTR) {
		out->selector = (uint16_t)vmx_read(seg_field(VMCS_GUEST_ES_SEL, seg));
		out->attr = vmx_ar_decode((uint32_t)vmx_read(seg_field(VMCS_GUEST_ES_AR, seg)));
	}
}

static __noinline void seg_read_unloaded(struct vcpu *vcpu, enum hv_seg seg,
					 struct hv_segment *out)
{
	struct vmx_access a;

	vmx_access_begin(vcpu->vmx, &a);
	seg_read(seg, out);
	vmx_access_end(vcpu->vmx, &a);
}

void vmx_seg_get(struct vcpu *vcpu, enum hv_seg seg, struct hv_segment *out)
{
	if (likely(vcpu->vmx->loaded))
		seg_read(seg, out);
	else
		seg_read_unloaded(vcpu, seg, out);
}

BUILD_ASSERT(VMCS_GUEST_ES_BASE + 2 * HV_SEG_GDTR == VMCS_GUEST_GDTR_BASE, "field order");
BUILD_ASSERT(VMCS_GUEST_ES_LIMIT + 2 * HV_SEG_IDTR == VMCS_GUEST_IDTR_LIMIT, "field order");

/* An entry wants G to fit the limit (27.3.1.2): 1 above 1 MiB, 0 when not whole pages. */
static uint32_t attr_fit(uint32_t attr, uint32_t limit)
{
	if (limit > LIMIT_BYTE)
		return attr | HV_SEG_ATTR_G;
	if ((limit & 0xfffu) != 0xfffu)
		return attr & ~HV_SEG_ATTR_G;
	return attr;
}

void vmx_seg_set(struct vcpu *vcpu, enum hv_seg seg, const struct hv_segment *in)
{
	uint32_t attr = attr_fit(in->attr, in->limit);
	struct vmx_access a;

	if (seg == HV_SEG_TR)
		attr = (attr | SEG_BUSY) & ~HV_SEG_UNUSABLE;
	vmx_access_begin(vcpu->vmx, &a);
	vmx_write(seg_field(VMCS_GUEST_ES_BASE, seg), in->base);
	vmx_write(seg_field(VMCS_GUEST_ES_LIMIT, seg), in->limit);
	if (seg < HV_SEG_GDTR) {
		vmx_write(seg_field(VMCS_GUEST_ES_SEL, seg), in->selector);
		vmx_write(seg_field(VMCS_GUEST_ES_AR, seg), vmx_ar_encode(attr));
	}
	vmx_access_end(vcpu->vmx, &a);
}

unsigned int vmx_cpl_get(struct vcpu *vcpu)
{
	(void)vcpu;
	/* Even an unusable SS has the privilege level there (SDM vol. 3, 27.3.1.5). */
	return HV_SEG_ATTR_DPL((uint32_t)vmx_read(seg_field(VMCS_GUEST_ES_AR, HV_SEG_SS)));
}

uint64_t vmx_code64_cr3(struct vcpu *vcpu)
{
	uint32_t ar = (uint32_t)vmx_read(seg_field(VMCS_GUEST_ES_AR, HV_SEG_CS));

	(void)vcpu;
	if (!(vmx_read(VMCS_GUEST_EFER) & HV_EFER_LMA) || !(vmx_ar_decode(ar) & HV_SEG_ATTR_L))
		return HV_NOT_64BIT;
	return vmx_read(VMCS_GUEST_CR3);
}

void vmx_paging_get(struct vcpu *vcpu, struct hv_paging *out)
{
	struct vmx_access a;

	vmx_access_begin(vcpu->vmx, &a);
	out->cr0 = vmx_read(VMCS_GUEST_CR0);
	out->cr3 = vmx_read(VMCS_GUEST_CR3);
	out->cr4 = vmx_read(VMCS_GUEST_CR4);
	out->efer = vmx_read(VMCS_GUEST_EFER);
	out->cs_base = vmx_read(seg_field(VMCS_GUEST_ES_BASE, HV_SEG_CS));
	out->cs_attr = vmx_ar_decode((uint32_t)vmx_read(seg_field(VMCS_GUEST_ES_AR, HV_SEG_CS)));
	out->cpl = HV_SEG_ATTR_DPL(vmx_ar_decode(
		(uint32_t)vmx_read(seg_field(VMCS_GUEST_ES_AR, HV_SEG_SS))));
	vmx_access_end(vcpu->vmx, &a);
}
