// SPDX-License-Identifier: Apache-2.0
/* Filling a VMCS: constant controls, the host's state, the guest's state after RESET. */
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "hv/vmx/vmx_ctl.h"
#include "hv/vmx/vmx_priv.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/gdt.h"
#include "kernel/arch/msr_index.h"
#include "kernel/arch/percpu.h"
#include "kernel/arch/trap.h"
#include "kernel/mm/page.h"

/* TSC ticks between PAUSEs of one loop, and of such a loop until the exit. */
#define PLE_GAP    128u
#define PLE_WINDOW 4096u

#define PAT_RESET 0x0007040600070406ull
#define CR0_RESET (HV_CR0_ET | HV_CR0_NW | HV_CR0_CD)
#define DR6_RESET 0xffff0ff0ull
#define DR7_RESET 0x400ull

void vmx_vmcs_init(struct vcpu *vcpu)
{
	struct vmx_vcpu *vx = vcpu->vmx;
	uint32_t proc2 = vmx_config.proc2;

	vx->proc = vmx_config.proc;
	if (vx->vpid == 0)
		proc2 &= ~VMX_PROC2_VPID;
	vmx_write(VMCS_PIN_CTL, vmx_config.pin);
	vmx_write(VMCS_PROC_CTL, vx->proc);
	vmx_write(VMCS_PROC2_CTL, proc2);
	vmx_write(VMCS_EXIT_CTL, vmx_config.exit);
	vmx_write(VMCS_ENTRY_CTL, vmx_config.entry);
	/* #DB and #AC: a guest can make their delivery raise them again without end, and no
	 * interrupt gets in between (CVE-2015-8104, CVE-2015-5307). #MC is the host's. */
	vmx_write(VMCS_EXCEPTIONS, BIT(HV_VEC_DB) | BIT(HV_VEC_AC) | BIT(HV_VEC_MC));
	vmx_write(VMCS_PF_ERROR_MASK, 0);
	vmx_write(VMCS_PF_ERROR_MATCH, 0);
	vmx_write(VMCS_CR3_TARGETS, 0);
	vmx_write(VMCS_EXIT_MSR_STORE, 0);
	vmx_write(VMCS_EXIT_MSR_LOAD, 0);
	vmx_write(VMCS_ENTRY_MSR_LOAD, 0);
	vmx_write(VMCS_ENTRY_INTR_INFO, 0);
	vmx_write(VMCS_LINK_POINTER, ~0ull);
	vmx_write(VMCS_HOST_RSP, (uint64_t)(uintptr_t)vcpu); /* see vmx_entry.S */
	vmx_write(VMCS_CR0_MASK, vmx_config.cr0_mask);
	vmx_write(VMCS_CR4_MASK, vmx_config.cr4_mask);
	vmx_write(VMCS_MSR_BITMAP, vx->msr_bitmap_pa);
	vmx_write(VMCS_EPTP, vx->eptp);
	vmx_write(VMCS_TSC_OFFSET, 0);
	if (vx->vpid)
		vmx_write(VMCS_VPID, vx->vpid);
	if (vmx_config.tpr_shadow) {
		vmx_write(VMCS_VIRTUAL_APIC, va_to_hpa(vx->vapic).v);
		vmx_write(VMCS_TPR_THRESHOLD, 0);
	}
	if (proc2 & VMX_PROC2_PLE) {
		vmx_write(VMCS_PLE_GAP, PLE_GAP);
		vmx_write(VMCS_PLE_WINDOW, PLE_WINDOW);
	}
	if (proc2 & VMX_PROC2_XSAVES)
		vmx_write(VMCS_XSS_BITMAP, 0);
}

void vmx_host_state_set(void)
{
	unsigned int id = this_cpu()->id;

	vmx_write(VMCS_HOST_CR0, cr0_read());
	vmx_write(VMCS_HOST_CR3, cr3_read());
	vmx_write(VMCS_HOST_CR4, cr4_read());
	vmx_write(VMCS_HOST_EFER, rdmsr(MSR_EFER));
	vmx_write(VMCS_HOST_PAT, rdmsr(MSR_PAT));
	vmx_write(VMCS_HOST_CS_SEL, SEL_KERNEL_CS);
	vmx_write(VMCS_HOST_SS_SEL, SEL_KERNEL_DS);
	vmx_write(VMCS_HOST_DS_SEL, SEL_KERNEL_DS);
	vmx_write(VMCS_HOST_ES_SEL, SEL_KERNEL_DS);
	vmx_write(VMCS_HOST_FS_SEL, 0);
	vmx_write(VMCS_HOST_GS_SEL, 0);
	vmx_write(VMCS_HOST_TR_SEL, SEL_TSS);
	vmx_write(VMCS_HOST_FS_BASE, rdmsr(MSR_FS_BASE));
	vmx_write(VMCS_HOST_GS_BASE, rdmsr(MSR_GS_BASE));
	vmx_write(VMCS_HOST_TR_BASE, gdt_tss_base(id));
	vmx_write(VMCS_HOST_GDTR_BASE, gdt_base(id));
	vmx_write(VMCS_HOST_IDTR_BASE, idt_base());
	vmx_write(VMCS_HOST_SYSENTER_CS, 0);
	vmx_write(VMCS_HOST_SYSENTER_ESP, 0);
	vmx_write(VMCS_HOST_SYSENTER_EIP, 0);
	vmx_write(VMCS_HOST_RIP, (uint64_t)(uintptr_t)vmx_exit_point);
}

static void segments_reset(struct vcpu *vcpu)
{
	const struct hv_segment data = { .attr = 0x93, .limit = 0xffff };
	const struct hv_segment cs = {
		.selector = 0xf000, .attr = 0x9b, .limit = 0xffff, .base = 0xffff0000
	};
	const struct hv_segment ldtr = { .attr = 0x82, .limit = 0xffff };
	const struct hv_segment tr = { .attr = 0x8b, .limit = 0xffff };
	const struct hv_segment table = { .limit = 0xffff };

	for (unsigned int s = HV_SEG_ES; s <= HV_SEG_GS; s++)
		vmx_seg_set(vcpu, s, s == HV_SEG_CS ? &cs : &data);
	vmx_seg_set(vcpu, HV_SEG_LDTR, &ldtr);
	vmx_seg_set(vcpu, HV_SEG_TR, &tr);
	vmx_seg_set(vcpu, HV_SEG_GDTR, &table);
	vmx_seg_set(vcpu, HV_SEG_IDTR, &table);
}

void vmx_vcpu_reset(struct vcpu *vcpu)
{
	struct vmx_vcpu *vx = vcpu->vmx;
	struct vmx_access a;

	vmx_access_begin(vx, &a);
	segments_reset(vcpu);
	/* EFER first: CR0 decides with it whether this is long mode. */
	for (unsigned int r = 0; r < HV_REG_COUNT; r++)
		vmx_reg_set(vcpu, r, 0);
	vmx_reg_set(vcpu, HV_REG_CR0, CR0_RESET);
	vmx_reg_set(vcpu, HV_REG_DR6, DR6_RESET);
	vmx_reg_set(vcpu, HV_REG_DR7, DR7_RESET);
	vmx_reg_set(vcpu, HV_REG_PAT, PAT_RESET);
	vmx_write(VMCS_GUEST_ACTIVITY, 0);
	vmx_write(VMCS_GUEST_PENDING_DBG, 0);
	vmx_write(VMCS_ENTRY_INTR_INFO, 0);
	vmx_write(VMCS_GUEST_RIP, 0);
	vmx_write(VMCS_GUEST_RSP, 0);
	vmx_write(VMCS_GUEST_RFLAGS, HV_RFLAGS_RESERVED1);
	vx->rsp = 0;
	vx->rflags = HV_RFLAGS_RESERVED1;
	vmx_access_end(vx, &a);
	vmx_intr_window(vcpu, false);
	vmx_nmi_window(vcpu, false);
}
