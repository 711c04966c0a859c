// SPDX-License-Identifier: Apache-2.0
/* Life of a vCPU's SVM state: creation, reset, moving between CPUs. */
#include "hv/svm/svm_priv.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/mitigate.h"
#include "kernel/arch/percpu.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"

/* Loops of PAUSE until an exit, where the CPU counts them: about a lock's holding time. */
#define PAUSE_COUNT     3000u
#define PAUSE_THRESHOLD 128u

#define PAT_RESET 0x0007040600070406ull
#define CR0_RESET (HV_CR0_ET | HV_CR0_NW | HV_CR0_CD)
#define DR6_RESET 0xffff0ff0ull
#define DR7_RESET 0x400ull

static void controls_init(struct svm_vmcb *c)
{
	/* #DB and #AC: a guest can make their delivery raise them again without end, and no
	 * interrupt gets in between (CVE-2015-8104, CVE-2015-5307). #MC is the host's. */
	c->intercept_exc = BIT(HV_VEC_DB) | BIT(HV_VEC_AC) | BIT(HV_VEC_MC);
	c->intercept1 = SVM_I1_INTR | SVM_I1_NMI | SVM_I1_SMI | SVM_I1_INIT | SVM_I1_RDPMC |
			SVM_I1_CPUID | SVM_I1_RSM | SVM_I1_INVD | SVM_I1_HLT | SVM_I1_INVLPGA |
			SVM_I1_IOIO | SVM_I1_MSR | SVM_I1_TASK_SWITCH | SVM_I1_FERR |
			SVM_I1_SHUTDOWN;
	c->intercept2 = SVM_I2_VMRUN | SVM_I2_VMMCALL | SVM_I2_VMLOAD | SVM_I2_VMSAVE |
			SVM_I2_STGI | SVM_I2_CLGI | SVM_I2_SKINIT | SVM_I2_WBINVD |
			SVM_I2_MONITOR | SVM_I2_MWAIT | SVM_I2_XSETBV;
	if (svm_features.rdpru)
		c->intercept2 |= SVM_I2_RDPRU;
	if (hv_caps.pause_filter) {
		c->intercept1 |= SVM_I1_PAUSE;
		c->pause_count = PAUSE_COUNT;
		c->pause_threshold = PAUSE_THRESHOLD;
	}
	c->iopm_pa = svm_iopm_pa();
	c->v_masking = SVM_V_INTR_MASKING;
	c->np_enable = SVM_NP_ENABLE;
	if (!hv_caps.next_rip)
		c->nrip = SVM_NRIP_NONE;
}

int svm_vcpu_init(struct vcpu *vcpu)
{
	struct svm_vcpu *sv = kzalloc(sizeof(*sv), MEM_VM);
	hpa_t page;

	if (!sv)
		return -RAY_ENOMEM;
	if (page_alloc(PAGE_ORDER_4K, PAGE_F_ZERO, &page)) {
		kfree(sv);
		return -RAY_ENOMEM;
	}
	sv->vmcb = hpa_to_va(page);
	sv->vmcb_pa = page.v;
	controls_init(sv->vmcb);
	sv->vmcb->n_cr3 = vcpu->vm->mem.s2.root.v;
	sv->vmcb->msrpm_pa = vcpu->vm->msr_map.pa;
	vcpu->svm = sv;
	return 0;
}

void svm_vcpu_fini(struct vcpu *vcpu)
{
	struct svm_vcpu *sv = vcpu->svm;

	if (!sv)
		return;
	page_free_dirty(HPA(sv->vmcb_pa), PAGE_ORDER_4K);
	kfree(sv);
	vcpu->svm = NULL;
}

static void segments_reset(struct svm_vmcb *s)
{
	const struct svm_vmcb_seg data = { .attr = 0x93, .limit = 0xffff };

	s->es = s->ss = s->ds = s->fs = s->gs = data;
	s->cs = (struct svm_vmcb_seg){
		.selector = 0xf000, .attr = 0x9b, .limit = 0xffff, .base = 0xffff0000
	};
	s->gdtr = s->idtr = (struct svm_vmcb_seg){ .limit = 0xffff };
	s->ldtr = (struct svm_vmcb_seg){ .attr = 0x82, .limit = 0xffff };
	/* Bochs wants a busy TSS in TR when long mode is entered; hardware does not care. */
	s->tr = (struct svm_vmcb_seg){ .attr = 0x8b, .limit = 0xffff };
	s->cpl = 0;
}

void svm_vcpu_reset(struct vcpu *vcpu)
{
	struct svm_vcpu *sv = vcpu->svm;
	struct svm_vmcb *s = sv->vmcb;

	segments_reset(s);
	s->cr0 = CR0_RESET;
	s->cr2 = s->cr3 = s->cr4 = 0;
	s->efer = HV_EFER_SVME;
	s->dr6 = DR6_RESET;
	s->dr7 = DR7_RESET;
	s->star = s->lstar = s->cstar = s->sfmask = s->kernel_gs_base = 0;
	s->sysenter_cs = s->sysenter_esp = s->sysenter_eip = 0;
	s->g_pat = PAT_RESET;
	s->dbgctl = 0;
	s->int_state = 0;
	s->event_inj = 0;
	s->clean = 0;
	sv->extra &= ~SVM_EXTRA_STEP;
	svm_nmi_block(sv, false);
	svm_intr_window(vcpu, false);
	sv->nmi_window = false;
}

void svm_asid_renew(struct svm_vcpu *sv)
{
	bool flush;

	sv->vmcb->asid = svm_asid_take(&sv->cpu->asids, &flush);
	sv->asid_generation = sv->cpu->asids.generation;
	svm_dirty(sv->vmcb, SVM_CLEAN_ASID);
	if (flush) {
		sv->vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
		sv->extra |= SVM_EXTRA_TLB_CLEAR;
	}
}

void svm_vcpu_load(struct vcpu *vcpu)
{
	struct svm_vcpu *sv = vcpu->svm;
	struct svm_cpu *c = &svm_cpus[this_cpu()->id];

	sv->loaded = true;
	sv->vmcb->dr6 = vcpu->dr6;
	sv->vmcb->msrpm_pa = vcpu->vm->msr_map.pa;
	svm_dirty(sv->vmcb, SVM_CLEAN_DR | SVM_CLEAN_PERM);
	if (sv->cpu != c) {
		/* Another CPU may hold translations and a copy of the VMCB from before. */
		sv->cpu = c;
		sv->host_pa = c->host_pa;
		sv->vmcb->clean = 0;
		sv->asid_generation = 0;
	}
	/* Only loaded vCPUs take ASIDs, one at a time: the generation cannot end in between. */
	if (sv->asid_generation != c->asids.generation)
		svm_asid_renew(sv);
}

void svm_vcpu_unload(struct vcpu *vcpu)
{
	struct svm_vcpu *sv = vcpu->svm;

	/* VMRUN and exits keep the guest's DR6 in the VMCB, unlike DR0 to DR3. */
	vcpu->dr6 = sv->vmcb->dr6;
	dr6_write(vcpu->dr6);
	sv->loaded = false;
}

void svm_tlb_flush(struct vcpu *vcpu)
{
	struct svm_vcpu *sv = vcpu->svm;

	sv->vmcb->n_cr3 = vcpu->vm->mem.s2.root.v;
	svm_dirty(sv->vmcb, SVM_CLEAN_NP);
	sv->extra |= SVM_EXTRA_FLUSH;
}

void svm_tsc_offset_set(struct vcpu *vcpu, uint64_t offset)
{
	vcpu->svm->vmcb->tsc_offset = offset;
	svm_dirty(vcpu->svm->vmcb, SVM_CLEAN_I);
}

void svm_spec_ctrl_set(struct vcpu *vcpu, uint64_t value)
{
	struct svm_vcpu *sv = vcpu->svm;

	sv->spec_ctrl = mitigate_guest_spec_ctrl(value);
	if (sv->spec_ctrl == mitigations.host_spec_ctrl)
		sv->extra &= ~SVM_EXTRA_SPEC_CTRL;
	else
		sv->extra |= SVM_EXTRA_SPEC_CTRL;
}
