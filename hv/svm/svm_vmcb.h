/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual machine control block, its bits and the exit codes, as AMD documents them:
 * APM vol. 2, appendix B (layout) and appendix C (exit codes). No code.
 */
#ifndef RAYOS_HV_SVM_VMCB_H
#define RAYOS_HV_SVM_VMCB_H

#include "kernel/lib/types.h"

struct svm_vmcb_seg {
	uint16_t selector;
	uint16_t attr; /* packed as hv/regs.h has it */
	uint32_t limit;
	uint64_t base;
};

struct svm_vmcb {
	uint32_t intercept_cr;
	uint32_t intercept_dr;
	uint32_t intercept_exc;
	uint32_t intercept1;   /* SVM_I1_* */
	uint32_t intercept2;   /* SVM_I2_* */
	uint32_t intercept3;
	uint8_t reserved018[0x03c - 0x018];
	uint16_t pause_threshold;
	uint16_t pause_count;
	uint64_t iopm_pa;
	uint64_t msrpm_pa;
	uint64_t tsc_offset;
	uint32_t asid;
	uint8_t tlb_control;   /* SVM_TLB_* */
	uint8_t reserved05d[3];
	uint8_t v_tpr;
	uint8_t v_irq;         /* SVM_V_IRQ */
	uint8_t v_prio;        /* SVM_V_* */
	uint8_t v_masking;     /* SVM_V_INTR_MASKING */
	uint8_t v_vector;
	uint8_t reserved065[3];
	uint64_t int_state;    /* SVM_INT_SHADOW */
	uint64_t exit_code;
	uint64_t exit_info1;
	uint64_t exit_info2;
	uint64_t exit_int_info;
	uint64_t np_enable;
	uint64_t avic_bar;
	uint64_t ghcb;
	uint64_t event_inj;
	uint64_t n_cr3;
	uint64_t virt_ext;
	uint32_t clean;        /* SVM_CLEAN_* */
	uint32_t reserved0c4;
	uint64_t nrip;
	uint8_t insn_len;
	uint8_t insn[15];
	uint8_t reserved0e0[0x400 - 0x0e0];

	struct svm_vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t reserved4a0[0x4cb - 0x4a0];
	uint8_t cpl;
	uint8_t reserved4cc[4];
	uint64_t efer;
	uint8_t reserved4d8[0x548 - 0x4d8];
	uint64_t cr4;
	uint64_t cr3;
	uint64_t cr0;
	uint64_t dr7;
	uint64_t dr6;
	uint64_t rflags;
	uint64_t rip;
	uint8_t reserved580[0x5d8 - 0x580];
	uint64_t rsp;
	uint8_t reserved5e0[0x5f8 - 0x5e0];
	uint64_t rax;
	uint64_t star;
	uint64_t lstar;
	uint64_t cstar;
	uint64_t sfmask;
	uint64_t kernel_gs_base;
	uint64_t sysenter_cs;
	uint64_t sysenter_esp;
	uint64_t sysenter_eip;
	uint64_t cr2;
	uint8_t reserved648[0x668 - 0x648];
	uint64_t g_pat;
	uint64_t dbgctl;
	uint8_t reserved678[0x1000 - 0x678];
};

BUILD_ASSERT(offsetof(struct svm_vmcb, pause_threshold) == 0x03c, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, asid) == 0x058, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, v_tpr) == 0x060, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, exit_code) == 0x070, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, event_inj) == 0x0a8, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, clean) == 0x0c0, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, insn_len) == 0x0d0, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, es) == 0x400, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, tr) == 0x490, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, cpl) == 0x4cb, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, efer) == 0x4d0, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, cr4) == 0x548, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, rip) == 0x578, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, rsp) == 0x5d8, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, rax) == 0x5f8, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, cr2) == 0x640, "VMCB layout");
BUILD_ASSERT(offsetof(struct svm_vmcb, dbgctl) == 0x670, "VMCB layout");
BUILD_ASSERT(sizeof(struct svm_vmcb) == 4096, "VMCB is a page");

/* 0x000: reads in the low half, writes in the high one */
#define SVM_INTERCEPT_CR8_WRITE (1u << 24)
/* 0x00c */
#define SVM_I1_INTR        (1u << 0)
#define SVM_I1_NMI         (1u << 1)
#define SVM_I1_SMI         (1u << 2)
#define SVM_I1_INIT        (1u << 3)
#define SVM_I1_VINTR       (1u << 4)
#define SVM_I1_RDPMC       (1u << 15)
#define SVM_I1_CPUID       (1u << 18)
#define SVM_I1_RSM         (1u << 19)
#define SVM_I1_IRET        (1u << 20)
#define SVM_I1_INVD        (1u << 22)
#define SVM_I1_PAUSE       (1u << 23)
#define SVM_I1_HLT         (1u << 24)
#define SVM_I1_INVLPGA     (1u << 26)
#define SVM_I1_IOIO        (1u << 27)
#define SVM_I1_MSR         (1u << 28)
#define SVM_I1_TASK_SWITCH (1u << 29)
#define SVM_I1_FERR        (1u << 30)
#define SVM_I1_SHUTDOWN    (1u << 31)
/* 0x010 */
#define SVM_I2_VMRUN   (1u << 0)
#define SVM_I2_VMMCALL (1u << 1)
#define SVM_I2_VMLOAD  (1u << 2)
#define SVM_I2_VMSAVE  (1u << 3)
#define SVM_I2_STGI    (1u << 4)
#define SVM_I2_CLGI    (1u << 5)
#define SVM_I2_SKINIT  (1u << 6)
#define SVM_I2_WBINVD  (1u << 9)
#define SVM_I2_MONITOR (1u << 10)
#define SVM_I2_MWAIT   (1u << 11)
#define SVM_I2_XSETBV  (1u << 13)
#define SVM_I2_RDPRU   (1u << 14)

#define SVM_TLB_NONE       0u
#define SVM_TLB_FLUSH_ALL  1u
#define SVM_TLB_FLUSH_ASID 3u

/* bytes of the field at 0x060 */
#define SVM_V_IRQ          (1u << 0) /* bit 8 */
#define SVM_V_PRIO_MAX     0x0fu     /* bits 19:16 */
#define SVM_V_IGN_TPR      (1u << 4) /* bit 20 */
#define SVM_V_INTR_MASKING (1u << 0) /* bit 24 */

/* What stands in nRIP of a CPU that never writes it: the end of no instruction, because no
 * address is like this. */
#define SVM_NRIP_NONE (1ull << 63)

#define SVM_INT_SHADOW (1u << 0)
#define SVM_NP_ENABLE  (1u << 0)

/* EVENTINJ and EXITINTINFO (15.20); types are enum hv_event_type */
#define SVM_EVENT_TYPE_SHIFT  8
#define SVM_EVENT_ERROR_VALID (1ull << 11)
#define SVM_EVENT_VALID       (1ull << 31)
#define SVM_EVENT_ERROR_SHIFT 32

/* clean bits (15.15.3) */
#define SVM_CLEAN_I    (1u << 0) /* intercepts, TSC offset, pause filter */
#define SVM_CLEAN_PERM (1u << 1) /* IOPM and MSRPM addresses */
#define SVM_CLEAN_ASID (1u << 2)
#define SVM_CLEAN_TPR  (1u << 3) /* V_TPR, V_IRQ and the rest of 0x060 */
#define SVM_CLEAN_NP   (1u << 4) /* N_CR3, G_PAT */
#define SVM_CLEAN_CR   (1u << 5) /* CR0, CR3, CR4, EFER */
#define SVM_CLEAN_DR   (1u << 6)
#define SVM_CLEAN_DT   (1u << 7) /* GDTR, IDTR */
#define SVM_CLEAN_SEG  (1u << 8) /* CS, DS, SS, ES, CPL */
#define SVM_CLEAN_CR2  (1u << 9)
#define SVM_CLEAN_LBR  (1u << 10)
#define SVM_CLEAN_ALL  0x7ffu

/* exit codes */
#define SVM_EXIT_CR_READ     0x000u
#define SVM_EXIT_CR_WRITE    0x010u
#define SVM_EXIT_DR_READ     0x020u
#define SVM_EXIT_DR_WRITE    0x030u
#define SVM_EXIT_EXCEPTION   0x040u
#define SVM_EXIT_INTR        0x060u
#define SVM_EXIT_NMI         0x061u
#define SVM_EXIT_SMI         0x062u
#define SVM_EXIT_INIT        0x063u
#define SVM_EXIT_VINTR       0x064u
#define SVM_EXIT_RDPMC       0x06fu
#define SVM_EXIT_CPUID       0x072u
#define SVM_EXIT_RSM         0x073u
#define SVM_EXIT_IRET        0x074u
#define SVM_EXIT_INVD        0x076u
#define SVM_EXIT_PAUSE       0x077u
#define SVM_EXIT_HLT         0x078u
#define SVM_EXIT_INVLPGA     0x07au
#define SVM_EXIT_IOIO        0x07bu
#define SVM_EXIT_MSR         0x07cu
#define SVM_EXIT_TASK_SWITCH 0x07du
#define SVM_EXIT_FERR        0x07eu
#define SVM_EXIT_SHUTDOWN    0x07fu
#define SVM_EXIT_VMRUN       0x080u
#define SVM_EXIT_VMMCALL     0x081u
#define SVM_EXIT_VMLOAD      0x082u
#define SVM_EXIT_VMSAVE      0x083u
#define SVM_EXIT_STGI        0x084u
#define SVM_EXIT_CLGI        0x085u
#define SVM_EXIT_SKINIT      0x086u
#define SVM_EXIT_WBINVD      0x089u
#define SVM_EXIT_MONITOR     0x08au
#define SVM_EXIT_MWAIT       0x08bu
#define SVM_EXIT_MWAIT_ARMED 0x08cu
#define SVM_EXIT_XSETBV      0x08du
#define SVM_EXIT_RDPRU       0x08eu
#define SVM_EXIT_TABLE_SIZE  0x08fu
#define SVM_EXIT_NPF         0x400u
#define SVM_EXIT_INVALID     0xffffffffffffffffull

/* EXITINFO1 of IOIO (15.10.2) */
#define SVM_IOIO_IN         (1u << 0)
#define SVM_IOIO_STRING     (1u << 2)
#define SVM_IOIO_REP        (1u << 3)
#define SVM_IOIO_SIZE_SHIFT 4 /* one-hot: 8, 16, 32 bits */
#define SVM_IOIO_PORT_SHIFT 16

/* EXITINFO1 of a nested page fault (15.25.6) */
#define SVM_NPF_WRITE  (1ull << 1)
#define SVM_NPF_RSV    (1ull << 3)
#define SVM_NPF_FETCH  (1ull << 4)
#define SVM_NPF_PTWALK (1ull << 33)

/* EXITINFO1 of MOV CR with decode assists (15.8.1) */
#define SVM_CR_IS_MOV (1ull << 63)

#endif
