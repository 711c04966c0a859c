/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the SVM backend share.
 * Owns: per-CPU, per-VM and per-vCPU state of SVM. Must not know: devices, exit handling.
 * Locking: none. A vCPU's state belongs to its thread; a CPU's to whatever runs there with
 * preemption off; the permission map of a VM changes under vm->lock.
 */
#ifndef RAYOS_HV_SVM_PRIV_H
#define RAYOS_HV_SVM_PRIV_H

#include "hv/backend.h"
#include "hv/msr_map.h"
#include "hv/svm/svm_asid.h"
#include "hv/svm/svm_vmcb.h"

struct svm_cpu {
	void *hsave;       /* VM_HSAVE_PA page */
	void *host;        /* VMCB with what VMLOAD gives back after an exit */
	uint64_t host_pa;
	struct svm_asid_pool asids;
};

/* Work around the next entry that most entries do not have. */
#define SVM_EXTRA_FLUSH       (1u << 0) /* forget this vCPU's translations */
#define SVM_EXTRA_TLB_CLEAR   (1u << 1) /* TLB_CONTROL is set: for one entry only */
#define SVM_EXTRA_STEP_SHADOW (1u << 2) /* single-step until the interrupt shadow has passed */
#define SVM_EXTRA_STEP_IRET   (1u << 3) /* single-step the IRET that ends NMI blocking */
#define SVM_EXTRA_STEP_CR8    (1u << 4) /* single-step the CR8 write that may open the way */
#define SVM_EXTRA_STEP        (SVM_EXTRA_STEP_SHADOW | SVM_EXTRA_STEP_IRET | SVM_EXTRA_STEP_CR8)
#define SVM_EXTRA_CR8         (1u << 5) /* CR8 is not 0: it may keep an interrupt out */
#define SVM_EXTRA_SPEC_CTRL   (1u << 7) /* the guest's SPEC_CTRL is not the host's */
#define SVM_EXTRA_LOOK_AGAIN  (1u << 8) /* see struct svm_features, intr_lost */
#define SVM_EXTRA_VIRQ        (1u << 9) /* an interrupt was injected as V_IRQ: see intr_twice */

struct svm_vcpu {
	struct svm_vmcb *vmcb;
	uint64_t vmcb_pa;
	uint64_t host_pa;      /* of the CPU it is loaded on */
	uint32_t extra;        /* SVM_EXTRA_* */
	bool step_armed;       /* the entry under way is a single step */
	bool step_tf;          /* and RFLAGS.TF in the VMCB is ours, not the guest's */
	bool loaded;
	bool nmi_blocked;      /* an NMI handler runs */
	bool intr_window;
	bool nmi_window;
	uint64_t step_dr6;     /* DR6 from before the step */
	uint64_t step_rip;
	uint64_t spec_ctrl;    /* while the guest runs; see SVM_EXTRA_SPEC_CTRL */
	struct svm_cpu *cpu;   /* where its ASID is valid */
	uint64_t asid_generation;
};

/* What the CPU has beyond struct hv_caps. */
struct svm_features {
	bool flush_by_asid;
	bool rdpru;
	bool shadow_lost; /* VMRUN does not load the interrupt shadow (QEMU's TCG) */
	bool intr_lost;   /* VMRUN with V_IRQ may drop a physical interrupt (QEMU's TCG) */
	bool intr_twice;  /* an interrupt of EVENTINJ may come once more, IF or not (QEMU's TCG) */
};

/* svm_init.c */
extern struct svm_cpu svm_cpus[];
extern struct svm_features svm_features;
extern const struct stage2_format svm_npt_format;
/** Mark what changed in the VMCB so that a cached copy is not used (15.15). */
static inline void svm_dirty(struct svm_vmcb *vmcb, uint32_t clean_bits)
{
	vmcb->clean &= ~clean_bits;
}

/* svm_vcpu.c */
int svm_vcpu_init(struct vcpu *vcpu);
void svm_vcpu_fini(struct vcpu *vcpu);
void svm_vcpu_reset(struct vcpu *vcpu);
void svm_vcpu_load(struct vcpu *vcpu);
void svm_vcpu_unload(struct vcpu *vcpu);
/** Take an ASID of the CPU it is loaded on. Context: loaded. */
void svm_asid_renew(struct svm_vcpu *sv);
void svm_tlb_flush(struct vcpu *vcpu);
void svm_tsc_offset_set(struct vcpu *vcpu, uint64_t offset);
void svm_spec_ctrl_set(struct vcpu *vcpu, uint64_t value);

/* svm_run.c */
void svm_run(struct vcpu *vcpu);
enum hv_disposition svm_run_loop(struct vcpu *vcpu);
bool svm_intr_allowed(struct vcpu *vcpu);
bool svm_nmi_allowed(struct vcpu *vcpu);
void svm_intr_window(struct vcpu *vcpu, bool on);
void svm_nmi_window(struct vcpu *vcpu, bool on);
/** Set or end NMI blocking; while it lasts IRET is intercepted. */
void svm_nmi_block(struct svm_vcpu *sv, bool on);

/* svm_regs.c */
uint64_t svm_reg_get(struct vcpu *vcpu, enum hv_reg reg);
void svm_reg_set(struct vcpu *vcpu, enum hv_reg reg, uint64_t value);
void svm_seg_get(struct vcpu *vcpu, enum hv_seg seg, struct hv_segment *out);
unsigned int svm_cpl_get(struct vcpu *vcpu);
uint64_t svm_code64_cr3(struct vcpu *vcpu);
void svm_paging_get(struct vcpu *vcpu, struct hv_paging *out);
void svm_seg_set(struct vcpu *vcpu, enum hv_seg seg, const struct hv_segment *in);

/* svm_perm.c */
/** The map that lets every port exit, once per boot. 0 or -RAY_ENOMEM. */
int __must_check svm_iopm_init(void);
uint64_t svm_iopm_pa(void);
extern const struct msr_map_format svm_msr_map_format;

/* svm_dump.c */
void svm_dump(struct vcpu *vcpu, void (*emit)(void *ctx, const char *line), void *ctx);

#endif
