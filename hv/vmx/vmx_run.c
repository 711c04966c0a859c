// SPDX-License-Identifier: Apache-2.0
/*
 * Entry and exit, event injection, interrupt and NMI windows. The hot path: RSP and RFLAGS
 * are written only when they differ from what the VMCS has, other fields only when something
 * changed them; what few entries need stands behind one test of `extra`, what few exits need
 * behind one of the reason's description.
 */
#include "hv/gmem.h"
#include "hv/run_loop.h"
#include "hv/vcpu.h"
#include "hv/vcpu_asm.h"
#include "hv/virq.h"
#include "hv/vm.h"
#include "hv/vmx/vmx_ctl.h"
#include "hv/vmx/vmx_priv.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/mitigate.h"

/* DR6 after a #DB that the bitmap caught: the CPU leaves the causes in the qualification. */
#define DR6_TRAPS    0xfull
#define DR6_CAUSES   (DR6_TRAPS | BIT(13) | BIT(14) | BIT(15)) /* B0-B3, BD, BS, BT */
#define DR7_GD       BIT(13)
#define DR6_FIXED    0xffff0ff0ull
#define DR6_RTM      BIT(16) /* inverted: 0 in DR6, 1 in the qualification */

bool vmx_intr_allowed(struct vcpu *vcpu)
{
	return (vcpu->rflags & HV_RFLAGS_IF) &&
	       !(vmx_reg_get(vcpu, HV_REG_INTR_SHADOW));
}

bool vmx_nmi_allowed(struct vcpu *vcpu)
{
	return !vmx_reg_get(vcpu, HV_REG_NMI_BLOCKED) && !vmx_reg_get(vcpu, HV_REG_INTR_SHADOW);
}

static void proc_put(struct vmx_vcpu *vx, uint32_t bit, bool on)
{
	uint32_t proc = on ? vx->proc | bit : vx->proc & ~bit;
	struct vmx_access a;

	if (proc == vx->proc)
		return;
	vx->proc = proc;
	vmx_access_begin(vx, &a);
	vmx_write(VMCS_PROC_CTL, proc);
	vmx_access_end(vx, &a);
}

void vmx_intr_window(struct vcpu *vcpu, bool on)
{
	proc_put(vcpu->vmx, VMX_PROC_INTR_WINDOW, on);
}

void vmx_nmi_window(struct vcpu *vcpu, bool on)
{
	proc_put(vcpu->vmx, VMX_PROC_NMI_WINDOW, on);
}

static void inject(struct vcpu *vcpu)
{
	struct hv_event *ev = &vcpu->inject;
	uint32_t info = vmx_event_encode(ev, !(vmx_read(VMCS_GUEST_CR0) & HV_CR0_PE));

	if (ev->type == HV_EVENT_NMI)
		vmx_reg_set(vcpu, HV_REG_NMI_BLOCKED, 0); /* the entry itself blocks (27.3.1.5) */
	if (info & VMX_INTR_ERROR_VALID)
		vmx_write(VMCS_ENTRY_ERROR_CODE, ev->error);
	if (ev->type >= HV_EVENT_SOFT_INT)
		vmx_write(VMCS_ENTRY_INSN_LEN, ev->insn_len);
	vmx_write(VMCS_ENTRY_INTR_INFO, info);
	ev->valid = false;
}

/* With EPT an entry takes PAE's four pointers from the VMCS, not from memory (27.3.2.4). */
static void pdptes_load(struct vcpu *vcpu)
{
	uint64_t cr3 = vmx_read(VMCS_GUEST_CR3) & 0xffffffe0u;
	uint64_t pdpte[4];

	if (!(vmx_read(VMCS_GUEST_CR0) & HV_CR0_PG) || !(vmx_read(VMCS_GUEST_CR4) & HV_CR4_PAE) ||
	    (vmx_read(VMCS_GUEST_EFER) & HV_EFER_LMA))
		return;
	if (gmem_read(&vcpu->vm->mem, GPA(cr3), pdpte, sizeof(pdpte)))
		return; /* outside RAM: the entry goes on with those it has */
	for (unsigned int i = 0; i < 4; i++)
		vmx_write(VMCS_GUEST_PDPTE0 + 2 * i, pdpte[i]);
}

/* The exit when CR8 falls below the threshold is wanted only while CR8 keeps something out. */
static void cr8_watch(struct vcpu *vcpu)
{
	struct vmx_vcpu *vx = vcpu->vmx;
	int blocked = vcpu->cr8 ? vlapic_tpr_blocked(vcpu) : -1;

	if (vcpu->cr8 == 0)
		vx->extra &= ~VMX_EXTRA_CR8;
	if (vmx_config.tpr_shadow)
		vmx_write(VMCS_TPR_THRESHOLD,
			  blocked < 0 ? 0 : MIN((unsigned int)blocked >> 4, vcpu->cr8));
}

/* Returns: the VMCS is to be launched. */
static __noinline bool run_before(struct vcpu *vcpu)
{
	struct vmx_vcpu *vx = vcpu->vmx;
	bool launch = (vx->extra & VMX_EXTRA_LAUNCH) != 0;

	if (vcpu->inject.valid)
		inject(vcpu);
	if (vx->extra & VMX_EXTRA_FLUSH)
		vmx_tlb_drop(vx);
	if (vx->extra & VMX_EXTRA_PDPTE)
		pdptes_load(vcpu);
	vx->extra &= ~(VMX_EXTRA_FLUSH | VMX_EXTRA_PDPTE | VMX_EXTRA_LAUNCH);
	if (vx->extra & VMX_EXTRA_CR8)
		cr8_watch(vcpu);
	if (vx->extra & VMX_EXTRA_BUFFERS)
		mitigate_guest_enter();
	return launch;
}

static void db_causes(const struct hv_exit *exit, uint64_t qual)
{
	if (exit->u.exc.vector != HV_VEC_DB)
		return;
	dr6_write(((dr6_read() & ~DR6_TRAPS) | DR6_FIXED | DR6_RTM | (qual & DR6_CAUSES)) ^
		  (qual & DR6_RTM));
	vmx_write(VMCS_GUEST_DR7, vmx_read(VMCS_GUEST_DR7) & ~DR7_GD);
}

/* A fault inside IRET: it has opened NMIs already, but did not complete (28.2.3). */
static void nmi_unblock_undo(struct vcpu *vcpu)
{
	if (!vcpu->exitint.valid)
		vmx_reg_set(vcpu, HV_REG_NMI_BLOCKED, 1);
}

static __noinline void exit_detail(struct vcpu *vcpu, uint32_t reason, uint32_t need)
{
	struct hv_exit *exit = &vcpu->exit;
	struct vmx_exit_raw raw = { 0 };

	exit->raw_reason = reason;
	raw.qual = vmx_read(VMCS_EXIT_QUAL);
	exit->raw_info[0] = raw.qual;
	if (need & VMX_NEED_GPA) {
		raw.gpa = vmx_read(VMCS_GUEST_PHYS);
		raw.gva = vmx_read(VMCS_GUEST_LINEAR);
		exit->raw_info[1] = raw.gpa;
	}
	if (need & VMX_NEED_INTR) {
		raw.intr_info = (uint32_t)vmx_read(VMCS_EXIT_INTR_INFO);
		raw.intr_error = (uint32_t)vmx_read(VMCS_EXIT_INTR_ERROR);
		exit->raw_info[1] = raw.intr_info;
	}
	vmx_exit_decode(&raw, exit);
	switch (exit->kind) {
	case HV_EXIT_NMI:
		vmx_host_nmi();
		break;
	case HV_EXIT_MCE:
		vmx_host_mce();
		break;
	case HV_EXIT_EXCEPTION:
		db_causes(exit, raw.qual);
		if (raw.intr_info & VMX_INTR_NMI_UNBLOCK)
			nmi_unblock_undo(vcpu);
		break;
	case HV_EXIT_ENTRY_FAILED:
		if (VMX_REASON_BASIC(reason) == VMX_REASON_ENTRY_MCE)
			vmx_host_mce();
		break;
	default:
		break;
	}
}

/* Device memory, or memory that is not there yet: the one of these that is frequent. */
static void exit_ept(struct vcpu *vcpu)
{
	uint64_t qual = vmx_read(VMCS_EXIT_QUAL);

	vmx_ept_decode(qual, vmx_read(VMCS_GUEST_PHYS), vmx_read(VMCS_GUEST_LINEAR),
		       &vcpu->exit.u.s2);
	if (unlikely(qual & VMX_EPTV_NMI_UNBLOCK))
		nmi_unblock_undo(vcpu);
}

/* An event was being delivered when the exit came. */
static __noinline void event_cut_short(struct vcpu *vcpu, uint32_t info)
{
	vcpu->exitint.valid = vmx_event_decode(info, (uint32_t)vmx_read(VMCS_IDT_ERROR),
					       (uint32_t)vmx_read(VMCS_EXIT_INSN_LEN),
					       &vcpu->exitint);
}

/* Exits that are more than an instruction with a length, or less. */
static __noinline void exit_other(struct vcpu *vcpu, uint32_t reason)
{
	const struct vmx_reason_desc *d = vmx_reason_find(reason);
	uint32_t idt = (uint32_t)vmx_read(VMCS_IDT_INFO);

	if (!(d->need & VMX_NEED_LEN))
		vcpu->exit.insn_len = 0;
	/* The field is not written when the entry failed. */
	if (unlikely(idt & VMX_INTR_VALID) && d->kind != HV_EXIT_ENTRY_FAILED)
		event_cut_short(vcpu, idt);
	if (d->kind == HV_EXIT_STAGE2)
		exit_ept(vcpu);
	else if (d->need & ~VMX_NEED_LEN)
		exit_detail(vcpu, reason, d->need);
}

static __force_inline void exit_translate(struct vcpu *vcpu)
{
	struct hv_exit *exit = &vcpu->exit;
	uint64_t reason = vmx_read(VMCS_EXIT_REASON);
	const struct vmx_reason_desc *d = vmx_reason_find(reason);

	exit->kind = d->kind;
	exit->shadow = (vmx_read(VMCS_GUEST_INTR_STATE) & (VMX_INTR_STI | VMX_INTR_MOVSS)) != 0;
	exit->insn_len = (uint8_t)vmx_read(VMCS_EXIT_INSN_LEN);
	/* An instruction that merely exits does not do so in the delivery of an event (28.2.4). */
	if (likely(d->need == VMX_NEED_LEN))
		return;
	if (d->kind == HV_EXIT_IO)
		vmx_io_decode(vmx_read(VMCS_EXIT_QUAL), &exit->u.io);
	else
		exit_other(vcpu, (uint32_t)reason);
}

/* VMLAUNCH or VMRESUME itself said no: the instruction error tells why (SDM vol. 3, 31.4). */
static __noinline void entry_refused(struct vcpu *vcpu)
{
	struct hv_exit *exit = &vcpu->exit;

	exit->kind = HV_EXIT_ENTRY_FAILED;
	exit->raw_reason = ~0ull;
	exit->raw_info[0] = vmx_read(VMCS_INSN_ERROR);
	exit->raw_info[1] = 0;
	exit->insn_len = 0;
	exit->shadow = false;
}

static __force_inline void guest_in(struct vcpu *vcpu, struct vmx_vcpu *vx)
{
	vmx_write(VMCS_GUEST_RIP, vcpu->rip);
	if (unlikely(vcpu->rflags != vx->rflags))
		vmx_write(VMCS_GUEST_RFLAGS, vcpu->rflags);
	if (unlikely(vcpu->gpr[GPR_RSP] != vx->rsp))
		vmx_write(VMCS_GUEST_RSP, vcpu->gpr[GPR_RSP]);
	if (unlikely(vcpu->cr8 != vx->cr8)) {
		vx->cr8 = vcpu->cr8;
		*vx->vtpr = (uint8_t)(vx->cr8 << 4);
		vx->extra |= VMX_EXTRA_CR8;
	}
}

static __force_inline void guest_out(struct vcpu *vcpu, struct vmx_vcpu *vx)
{
	vmx_read_to(VMCS_GUEST_RIP, &vcpu->rip);
	vcpu->rflags = vx->rflags = vmx_read(VMCS_GUEST_RFLAGS);
	vcpu->gpr[GPR_RSP] = vx->rsp = vmx_read(VMCS_GUEST_RSP);
	if (unlikely(*vx->vtpr >> 4 != vx->cr8)) {
		vx->cr8 = *vx->vtpr >> 4;
		vx->extra |= VMX_EXTRA_CR8;
		vlapic_cr8_set(vcpu, vx->cr8);
	}
}

static __force_inline struct vcpu *enter(struct vcpu *vcpu)
{
	struct vmx_vcpu *vx = vcpu->vmx;
	int failed;

	guest_in(vcpu, vx);
	if (unlikely(vx->extra | vcpu->inject.valid) && run_before(vcpu))
		vcpu = vmx_enter(vcpu, true, &failed);
	else
		vcpu = vmx_enter(vcpu, false, &failed);

	if (unlikely(failed)) {
		entry_refused(vcpu);
		return vcpu;
	}
	guest_out(vcpu, vcpu->vmx);
	exit_translate(vcpu);
	return vcpu;
}

void vmx_run(struct vcpu *vcpu)
{
	enter(vcpu);
}

enum hv_disposition vmx_run_loop(struct vcpu *vcpu)
{
	return hv_run_loop(vcpu, enter);
}
