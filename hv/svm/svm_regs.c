// SPDX-License-Identifier: Apache-2.0
/* Registers and segments of the VMCB by their neutral names. */
#include "hv/svm/svm_priv.h"
#include "hv/vcpu.h"

#define SEG_BUSY       0x2u /* TSS type bit (APM vol. 2, 4.8.3) */
#define SEG_ATTR_MASK  0xfffu

/* Where a register stands and which part of a cached VMCB a change makes stale. */
struct reg_place {
	uint16_t offset;
	uint16_t clean;
};
#define PLACE(field, bits) { offsetof(struct svm_vmcb, field), (bits) }

static const struct reg_place places[HV_REG_COUNT] = {
	[HV_REG_CR0] = PLACE(cr0, SVM_CLEAN_CR),
	[HV_REG_CR3] = PLACE(cr3, SVM_CLEAN_CR),
	[HV_REG_CR4] = PLACE(cr4, SVM_CLEAN_CR),
	[HV_REG_DR6] = PLACE(dr6, SVM_CLEAN_DR),
	[HV_REG_DR7] = PLACE(dr7, SVM_CLEAN_DR),
	[HV_REG_EFER] = PLACE(efer, SVM_CLEAN_CR),
	[HV_REG_PAT] = PLACE(g_pat, SVM_CLEAN_NP),
	[HV_REG_STAR] = PLACE(star, 0),
	[HV_REG_LSTAR] = PLACE(lstar, 0),
	[HV_REG_CSTAR] = PLACE(cstar, 0),
	[HV_REG_SFMASK] = PLACE(sfmask, 0),
	[HV_REG_KERNEL_GS_BASE] = PLACE(kernel_gs_base, 0),
	[HV_REG_SYSENTER_CS] = PLACE(sysenter_cs, 0),
	[HV_REG_SYSENTER_ESP] = PLACE(sysenter_esp, 0),
	[HV_REG_SYSENTER_EIP] = PLACE(sysenter_eip, 0),
	[HV_REG_DEBUGCTL] = PLACE(dbgctl, SVM_CLEAN_LBR),
	[HV_REG_CR2] = PLACE(cr2, SVM_CLEAN_CR2),
};

static uint64_t *reg_field(struct svm_vmcb *vmcb, enum hv_reg reg)
{
	return (uint64_t *)(void *)((uint8_t *)vmcb + places[reg].offset);
}

uint64_t svm_reg_get(struct vcpu *vcpu, enum hv_reg reg)
{
	struct svm_vcpu *sv = vcpu->svm;
	uint64_t v;

	if (reg == HV_REG_INTR_SHADOW)
		return sv->vmcb->int_state & SVM_INT_SHADOW;
	if (reg == HV_REG_NMI_BLOCKED)
		return sv->nmi_blocked;
	if (reg == HV_REG_DR6 && !sv->loaded)
		return vcpu->dr6;
	v = *reg_field(sv->vmcb, reg);
	return reg == HV_REG_EFER ? v & ~HV_EFER_SVME : v;
}

void svm_reg_set(struct vcpu *vcpu, enum hv_reg reg, uint64_t value)
{
	struct svm_vcpu *sv = vcpu->svm;

	switch (reg) {
	case HV_REG_INTR_SHADOW:
		/* STI and MOV SS are one bit here. */
		sv->vmcb->int_state = value ? SVM_INT_SHADOW : 0;
		return;
	case HV_REG_NMI_BLOCKED:
		svm_nmi_block(sv, value != 0);
		return;
	case HV_REG_DR6:
		vcpu->dr6 = value;
		break;
	case HV_REG_EFER:
		value |= HV_EFER_SVME; /* VMRUN refuses a guest without it (15.5.1) */
		break;
	default:
		break;
	}
	*reg_field(sv->vmcb, reg) = value;
	svm_dirty(sv->vmcb, places[reg].clean);
}

static struct svm_vmcb_seg *seg_field(struct svm_vmcb *s, enum hv_seg seg)
{
	static const uint16_t offset[HV_SEG_COUNT] = {
		[HV_SEG_ES] = offsetof(struct svm_vmcb, es),
		[HV_SEG_CS] = offsetof(struct svm_vmcb, cs),
		[HV_SEG_SS] = offsetof(struct svm_vmcb, ss),
		[HV_SEG_DS] = offsetof(struct svm_vmcb, ds),
		[HV_SEG_FS] = offsetof(struct svm_vmcb, fs),
		[HV_SEG_GS] = offsetof(struct svm_vmcb, gs),
		[HV_SEG_LDTR] = offsetof(struct svm_vmcb, ldtr),
		[HV_SEG_TR] = offsetof(struct svm_vmcb, tr),
		[HV_SEG_GDTR] = offsetof(struct svm_vmcb, gdtr),
		[HV_SEG_IDTR] = offsetof(struct svm_vmcb, idtr),
	};

	return (struct svm_vmcb_seg *)(void *)((uint8_t *)s + offset[seg]);
}

void svm_seg_get(struct vcpu *vcpu, enum hv_seg seg, struct hv_segment *out)
{
	struct svm_vmcb *s = vcpu->svm->vmcb;
	const struct svm_vmcb_seg *in = seg_field(s, seg);

	*out = (struct hv_segment){
		.base = in->base,
		.limit = in->limit,
		.selector = in->selector,
		.attr = in->attr & SEG_ATTR_MASK,
	};
	switch (seg) {
	case HV_SEG_GDTR:
	case HV_SEG_IDTR:
		out->attr = 0;
		return;
	case HV_SEG_TR:
		out->attr |= SEG_BUSY;
		break;
	case HV_SEG_SS:
		/* The CPU keeps the privilege level here, not in SS.DPL (15.5.1). */
		out->attr = (out->attr & ~0x60u) | ((uint32_t)s->cpl << 5);
		break;
	default:
		break;
	}
	/* G is not kept up by the CPU; the limit is in bytes always. */
	out->attr &= ~HV_SEG_ATTR_G;
	if (out->limit > 0xfffff)
		out->attr |= HV_SEG_ATTR_G;
	if (!(out->attr & HV_SEG_ATTR_P))
		out->attr |= HV_SEG_UNUSABLE;
}

void svm_seg_set(struct vcpu *vcpu, enum hv_seg seg, const struct hv_segment *in)
{
	struct svm_vmcb *s = vcpu->svm->vmcb;
	struct svm_vmcb_seg *out = seg_field(s, seg);

	out->base = in->base;
	out->limit = in->limit;
	out->selector = in->selector;
	out->attr = (in->attr & HV_SEG_UNUSABLE) ? 0 : (uint16_t)(in->attr & SEG_ATTR_MASK);
	if (seg == HV_SEG_TR)
		out->attr |= SEG_BUSY;
	if (seg == HV_SEG_SS)
		s->cpl = HV_SEG_ATTR_DPL(in->attr);
	svm_dirty(s, SVM_CLEAN_SEG | SVM_CLEAN_DT);
}

unsigned int svm_cpl_get(struct vcpu *vcpu)
{
	return vcpu->svm->vmcb->cpl;
}

uint64_t svm_code64_cr3(struct vcpu *vcpu)
{
	const struct svm_vmcb *c = vcpu->svm->vmcb;

	return (c->efer & HV_EFER_LMA) && (c->cs.attr & HV_SEG_ATTR_L) ? c->cr3 : HV_NOT_64BIT;
}

void svm_paging_get(struct vcpu *vcpu, struct hv_paging *out)
{
	const struct svm_vmcb *c = vcpu->svm->vmcb;

	out->cr0 = c->cr0;
	out->cr3 = c->cr3;
	out->cr4 = c->cr4;
	out->efer = c->efer;
	out->cs_base = c->cs.base;
	out->cs_attr = c->cs.attr;
	out->cpl = c->cpl;
}
