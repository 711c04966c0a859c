// SPDX-License-Identifier: Apache-2.0
/*
 * Entry and exit, event injection, interrupt and NMI windows. The hot path: no field of the
 * VMCB is written unless it changed, and what is rare stands behind one test of `extra`.
 */
#include "hv/run_loop.h"
#include "hv/svm/svm_exit.h"
#include "hv/svm/svm_insn.h"
#include "hv/svm/svm_priv.h"
#include "hv/vcpu_asm.h"
#include "hv/virq.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/lapic.h"
#include "kernel/arch/mitigate.h"
#include "kernel/arch/msr_index.h"

#define DR6_BS BIT(14)

bool svm_intr_allowed(struct vcpu *vcpu)
{
	return (vcpu->rflags & HV_RFLAGS_IF) && !(vcpu->svm->vmcb->int_state & SVM_INT_SHADOW);
}

bool svm_nmi_allowed(struct vcpu *vcpu)
{
	struct svm_vcpu *sv = vcpu->svm;

	return !sv->nmi_blocked && !(sv->vmcb->int_state & SVM_INT_SHADOW);
}

/*
 * A virtual interrupt that is intercepted tells when the guest can take one. V_IGN_TPR: by
 * priority it was chosen already.
 */
void svm_intr_window(struct vcpu *vcpu, bool on)
{
	struct svm_vcpu *sv = vcpu->svm;
	struct svm_vmcb *c = sv->vmcb;

	if (on == sv->intr_window)
		return;
	sv->intr_window = on;
	if (on) {
		c->intercept1 |= SVM_I1_VINTR;
		c->v_irq = SVM_V_IRQ;
		c->v_prio = SVM_V_PRIO_MAX | SVM_V_IGN_TPR;
		c->v_vector = 0;
		if (svm_features.intr_lost)
			sv->extra |= SVM_EXTRA_LOOK_AGAIN;
	} else {
		c->intercept1 &= ~SVM_I1_VINTR;
		c->v_irq = 0;
		c->v_prio = 0;
		sv->extra &= ~SVM_EXTRA_LOOK_AGAIN;
	}
	svm_dirty(c, SVM_CLEAN_I | SVM_CLEAN_TPR);
}

void svm_nmi_window(struct vcpu *vcpu, bool on)
{
	struct svm_vcpu *sv = vcpu->svm;

	/* While NMIs are blocked the IRET intercept is there already; a shadow is stepped over. */
	if (on && !sv->nmi_blocked)
		sv->extra |= SVM_EXTRA_STEP_SHADOW;
}

void svm_nmi_block(struct svm_vcpu *sv, bool on)
{
	uint32_t want = on ? SVM_I1_IRET : 0;

	sv->nmi_blocked = on;
	if ((sv->vmcb->intercept1 & SVM_I1_IRET) == want)
		return;
	sv->vmcb->intercept1 ^= SVM_I1_IRET;
	svm_dirty(sv->vmcb, SVM_CLEAN_I);
}

/*
 * Where EVENTINJ is not to be trusted with interrupts: a virtual one that is not intercepted,
 * which the CPU takes before the first instruction (15.21.4). Nothing is single-stepped then.
 */
static void virq_inject(struct svm_vcpu *sv, uint8_t vector)
{
	struct svm_vmcb *c = sv->vmcb;

	c->intercept1 &= ~SVM_I1_VINTR;
	c->v_irq = SVM_V_IRQ;
	c->v_prio = SVM_V_PRIO_MAX | SVM_V_IGN_TPR;
	c->v_vector = vector;
	svm_dirty(c, SVM_CLEAN_I | SVM_CLEAN_TPR);
	sv->extra |= SVM_EXTRA_VIRQ;
}

/* V_IRQ still stands when it was not taken: to be injected again. The window is as it was. */
static void virq_end(struct vcpu *vcpu)
{
	struct svm_vcpu *sv = vcpu->svm;
	struct svm_vmcb *c = sv->vmcb;

	if (c->v_irq & SVM_V_IRQ)
		vcpu->exitint = (struct hv_event){ .valid = true, .type = HV_EVENT_EXTINT,
						   .vector = c->v_vector };
	sv->extra &= ~SVM_EXTRA_VIRQ;
	c->v_irq = 0;
	c->v_prio = 0;
	svm_dirty(c, SVM_CLEAN_TPR);
	if (sv->intr_window) {
		sv->intr_window = false;
		svm_intr_window(vcpu, true);
	}
}

static __force_inline void inject(struct vcpu *vcpu)
{
	struct svm_vcpu *sv = vcpu->svm;
	struct hv_event *ev = &vcpu->inject;

	ev->valid = false;
	if (!(sv->vmcb->int_state & SVM_INT_SHADOW))
		sv->extra &= ~SVM_EXTRA_STEP_SHADOW;
	if (svm_features.intr_twice && ev->type == HV_EVENT_EXTINT &&
	    !(sv->extra & SVM_EXTRA_STEP)) {
		virq_inject(sv, ev->vector);
		return;
	}
	if (unlikely(ev->type == HV_EVENT_NMI))
		svm_nmi_block(sv, true);
	sv->vmcb->event_inj = svm_event_encode(ev);
}

/* CR8 writes exit only while CR8 keeps something out, and not while one is stepped over. */
static void cr8_watch(struct vcpu *vcpu)
{
	struct svm_vcpu *sv = vcpu->svm;
	uint32_t want = 0;

	if (vcpu->cr8 == 0)
		sv->extra &= ~(SVM_EXTRA_CR8 | SVM_EXTRA_STEP_CR8);
	else if (!(sv->extra & SVM_EXTRA_STEP_CR8) && vlapic_tpr_blocked(vcpu) >= 0)
		want = SVM_INTERCEPT_CR8_WRITE;
	if (sv->vmcb->intercept_cr != want) {
		sv->vmcb->intercept_cr = want;
		svm_dirty(sv->vmcb, SVM_CLEAN_I);
	}
}

/*
 * Run exactly one instruction, by RFLAGS.TF and the #DB intercept: the IRET after which NMIs
 * are open again, a CR8 write, or the one in an interrupt shadow where the CPU would forget
 * the shadow.
 */
static void step_begin(struct svm_vcpu *sv)
{
	struct svm_vmcb *c = sv->vmcb;

	if (!(c->int_state & SVM_INT_SHADOW))
		sv->extra &= ~SVM_EXTRA_STEP_SHADOW;
	if (c->event_inj & SVM_EVENT_VALID) {
		/* Delivery ends the shadow by itself, and its frame would carry our TF. The IRET or
		 * CR8 write comes up again. */
		if (sv->extra & SVM_EXTRA_STEP_IRET)
			svm_nmi_block(sv, true);
		sv->extra &= ~SVM_EXTRA_STEP;
	}
	if (!(sv->extra & SVM_EXTRA_STEP))
		return;
	sv->step_armed = true;
	sv->step_tf = !(c->rflags & HV_RFLAGS_TF);
	sv->step_dr6 = c->dr6;
	sv->step_rip = c->rip;
	c->rflags |= HV_RFLAGS_TF;
	c->v_irq = 0; /* the window would open at once */
	svm_dirty(c, SVM_CLEAN_TPR);
}

static __noinline void extra_before(struct vcpu *vcpu)
{
	struct svm_vcpu *sv = vcpu->svm;

	if (sv->extra & SVM_EXTRA_FLUSH) {
		sv->extra &= ~SVM_EXTRA_FLUSH;
		if (!svm_features.flush_by_asid) {
			svm_asid_renew(sv); /* a fresh ASID has nothing cached */
		} else if (sv->vmcb->tlb_control == SVM_TLB_NONE) {
			sv->vmcb->tlb_control = SVM_TLB_FLUSH_ASID;
			sv->extra |= SVM_EXTRA_TLB_CLEAR;
		}
	}
	if (sv->extra & SVM_EXTRA_CR8)
		cr8_watch(vcpu);
	if (sv->extra & SVM_EXTRA_STEP)
		step_begin(sv);
	if (sv->extra & SVM_EXTRA_SPEC_CTRL)
		wrmsr(MSR_SPEC_CTRL, sv->spec_ctrl);
}

/* What few entries have. */
static __noinline void run_before(struct vcpu *vcpu)
{
	if (vcpu->inject.valid)
		inject(vcpu);
	if (unlikely(vcpu->svm->extra & ~SVM_EXTRA_VIRQ)) /* which begins and ends by itself */
		extra_before(vcpu);
}

/* The step is over when its #DB came or the guest got away from the instruction. */
static void step_end(struct svm_vcpu *sv)
{
	struct svm_vmcb *c = sv->vmcb;
	bool trapped = sv->step_tf && c->exit_code == SVM_EXIT_EXCEPTION + HV_VEC_DB &&
		       (c->dr6 & DR6_BS);

	if (!sv->step_armed)
		return;
	sv->step_armed = false;
	c->v_irq = sv->intr_window ? SVM_V_IRQ : 0;
	svm_dirty(c, SVM_CLEAN_TPR);
	if (sv->step_tf)
		c->rflags &= ~HV_RFLAGS_TF;
	if (trapped) {
		c->dr6 = sv->step_dr6;
		svm_dirty(c, SVM_CLEAN_DR);
		c->exit_code = SVM_EXIT_VINTR; /* the guest never sees this #DB */
	} else if (c->rip == sv->step_rip) {
		return; /* the exit came before the instruction did */
	}
	if (sv->extra & SVM_EXTRA_STEP_IRET)
		svm_nmi_block(sv, false);
	sv->extra &= ~SVM_EXTRA_STEP;
}

static __noinline void run_after(struct svm_vcpu *sv)
{
	if (sv->extra & SVM_EXTRA_SPEC_CTRL)
		wrmsr(MSR_SPEC_CTRL, mitigations.host_spec_ctrl);
	if (sv->extra & SVM_EXTRA_TLB_CLEAR)
		sv->vmcb->tlb_control = SVM_TLB_NONE;
	sv->extra &= ~SVM_EXTRA_TLB_CLEAR;
	if (sv->extra & SVM_EXTRA_STEP)
		step_end(sv);
	if (sv->extra & (SVM_EXTRA_LOOK_AGAIN | SVM_EXTRA_VIRQ))
		lapic_look_again();
}

/* Exits that mean something to this file before anybody else sees them. */
static __noinline void exit_own(struct svm_vcpu *sv, struct hv_exit *exit)
{
	struct svm_vmcb *c = sv->vmcb;

	switch (exit->kind) {
	case HV_EXIT_MCE:
		svm_host_mce();
		break;
	case HV_EXIT_ENTRY_FAILED:
		c->clean = 0;
		break;
	case HV_EXIT_NMI_WINDOW:
		/* IRET: NMIs stay blocked until it has completed, so run just that one. */
		c->intercept1 &= ~SVM_I1_IRET;
		svm_dirty(c, SVM_CLEAN_I);
		sv->extra |= SVM_EXTRA_STEP_IRET;
		break;
	case HV_EXIT_CR:
		/* Only CR8 writes exit. What the guest writes is seen when it has. */
		sv->extra |= SVM_EXTRA_STEP_CR8;
		exit->kind = HV_EXIT_INTR_WINDOW;
		break;
	default:
		break;
	}
}

static __force_inline void guest_in(struct vcpu *vcpu, struct svm_vcpu *sv, struct svm_vmcb *c)
{
	c->rax = vcpu->gpr[GPR_RAX];
	c->rsp = vcpu->gpr[GPR_RSP];
	c->rip = vcpu->rip;
	c->rflags = vcpu->rflags;
	if (unlikely(c->v_tpr != vcpu->cr8)) {
		c->v_tpr = vcpu->cr8;
		svm_dirty(c, SVM_CLEAN_TPR);
		sv->extra |= SVM_EXTRA_CR8;
	}
}

static __force_inline void guest_out(struct vcpu *vcpu, const struct svm_vmcb *c)
{
	vcpu->gpr[GPR_RAX] = c->rax;
	vcpu->gpr[GPR_RSP] = c->rsp;
	vcpu->rip = c->rip;
	vcpu->rflags = c->rflags;
}

/* What few exits have; before anything is copied from the VMCB. */
static __noinline void exit_unusual(struct vcpu *vcpu)
{
	struct svm_vcpu *sv = vcpu->svm;
	struct svm_vmcb *c = sv->vmcb;

	if (sv->extra & ~SVM_EXTRA_VIRQ)
		run_after(sv);
	else if (sv->extra)
		lapic_look_again();
	vcpu->exit.shadow = c->int_state & SVM_INT_SHADOW;
	if (vcpu->exit.shadow && svm_features.shadow_lost)
		sv->extra |= SVM_EXTRA_STEP_SHADOW;
	if (c->v_tpr != vcpu->cr8) {
		sv->extra |= SVM_EXTRA_CR8;
		vlapic_cr8_set(vcpu, c->v_tpr);
	}
	if ((c->exit_int_info & SVM_EVENT_VALID) &&
	    svm_event_decode(c->exit_int_info, &vcpu->exitint))
		vcpu->exitint.valid = true;
	if (sv->extra & SVM_EXTRA_VIRQ)
		virq_end(vcpu);
}

static __force_inline struct vcpu *enter(struct vcpu *vcpu)
{
	struct svm_vcpu *sv = vcpu->svm;
	struct svm_vmcb *c = sv->vmcb;

	guest_in(vcpu, sv, c);
	if (unlikely(vcpu->inject.valid) || unlikely(sv->extra))
		run_before(vcpu);

	vcpu = svm_enter(vcpu, sv->vmcb_pa, sv->host_pa);

	sv = vcpu->svm;
	c = sv->vmcb;
	c->clean = SVM_CLEAN_ALL;
	c->event_inj = 0;
	vcpu->exit.shadow = false;
	/* One branch for all that is unusual. */
	if (unlikely(sv->extra | (c->int_state & SVM_INT_SHADOW) | (c->v_tpr ^ vcpu->cr8) |
		     (c->exit_int_info & SVM_EVENT_VALID)))
		exit_unusual(vcpu);
	guest_out(vcpu, c);
	if (unlikely(svm_exit_decode(c, &hv_caps, &vcpu->exit)))
		exit_own(sv, &vcpu->exit);
	return vcpu;
}

void svm_run(struct vcpu *vcpu)
{
	enter(vcpu);
}

enum hv_disposition svm_run_loop(struct vcpu *vcpu)
{
	return hv_run_loop(vcpu, enter);
}
