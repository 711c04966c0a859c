/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of a guest CPU's registers, vendor-neutral. GPRs, RIP and RFLAGS are in struct vcpu
 * and valid whenever the vCPU is outside; everything else goes through hv_reg_get/set and
 * hv_seg_get/set of the backend.
 */
#ifndef RAYOS_HV_REGS_H
#define RAYOS_HV_REGS_H

#include "kernel/lib/types.h"

/* Encoding order of ModRM (SDM vol. 2, 2.1.5). */
enum hv_gpr {
	GPR_RAX, GPR_RCX, GPR_RDX, GPR_RBX, GPR_RSP, GPR_RBP, GPR_RSI, GPR_RDI,
	GPR_R8, GPR_R9, GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15,
	GPR_COUNT
};

enum hv_reg {
	HV_REG_CR0, HV_REG_CR3, HV_REG_CR4, HV_REG_DR6, HV_REG_DR7, HV_REG_EFER, HV_REG_PAT,
	HV_REG_STAR, HV_REG_LSTAR, HV_REG_CSTAR, HV_REG_SFMASK, HV_REG_KERNEL_GS_BASE,
	HV_REG_SYSENTER_CS, HV_REG_SYSENTER_ESP, HV_REG_SYSENTER_EIP, HV_REG_DEBUGCTL,
	/* Interrupt shadow: bit 0 STI, bit 1 MOV SS (SDM table 24-3 layout). */
	HV_REG_INTR_SHADOW,
	HV_REG_NMI_BLOCKED,
	HV_REG_CR2,
	HV_REG_COUNT
};

enum hv_seg {
	HV_SEG_ES, HV_SEG_CS, HV_SEG_SS, HV_SEG_DS, HV_SEG_FS, HV_SEG_GS,
	HV_SEG_LDTR, HV_SEG_TR, HV_SEG_GDTR, HV_SEG_IDTR,
	HV_SEG_COUNT
};

/* attr: descriptor bits 40-47 and 52-55 as 0..7 and 8..11 (AMD VMCB packing: type, S, DPL,
 * P, AVL, L, DB, G); bit 16 set = unusable. GDTR and IDTR use base and limit only. */
#define HV_SEG_UNUSABLE (1u << 16)
#define HV_SEG_ATTR_TYPE(a) ((a) & 0xfu)
#define HV_SEG_ATTR_S   (1u << 4)
#define HV_SEG_ATTR_DPL(a) (((a) >> 5) & 3u)
#define HV_SEG_ATTR_P   (1u << 7)
#define HV_SEG_ATTR_L   (1u << 9)
#define HV_SEG_ATTR_DB  (1u << 10)
#define HV_SEG_ATTR_G   (1u << 11)
struct hv_segment {
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
	uint32_t attr;
};

/* What translating a linear address takes, read in one call. */
struct hv_paging {
	uint64_t cr0, cr3, cr4, efer;
	uint64_t cs_base;
	uint32_t cs_attr; /* struct hv_segment's */
	uint8_t cpl;
};

/* Instead of a CR3, which never looks like this. */
#define HV_NOT_64BIT UINT64_MAX

#define HV_CR0_PE (1ull << 0)
#define HV_CR0_MP (1ull << 1)
#define HV_CR0_EM (1ull << 2)
#define HV_CR0_TS (1ull << 3)
#define HV_CR0_ET (1ull << 4)
#define HV_CR0_NE (1ull << 5)
#define HV_CR0_WP (1ull << 16)
#define HV_CR0_NW (1ull << 29)
#define HV_CR0_CD (1ull << 30)
#define HV_CR0_PG (1ull << 31)
#define HV_CR4_PSE (1ull << 4)
#define HV_CR4_PAE (1ull << 5)
#define HV_CR4_PGE (1ull << 7)
#define HV_CR4_OSFXSR (1ull << 9)
#define HV_CR4_LA57 (1ull << 12)
#define HV_CR4_VMXE (1ull << 13)
#define HV_CR4_OSXSAVE (1ull << 18)
#define HV_CR4_SMEP (1ull << 20)
#define HV_CR4_SMAP (1ull << 21)
/* With PAE paging, a write that changes one of these loads the four page-directory pointers. */
#define HV_CR0_PDPTE_LOAD (HV_CR0_PG | HV_CR0_CD | HV_CR0_NW)
#define HV_CR4_PDPTE_LOAD (HV_CR4_PAE | HV_CR4_PGE | HV_CR4_PSE | HV_CR4_SMEP)
#define HV_EFER_SCE (1ull << 0)
#define HV_EFER_LME (1ull << 8)
#define HV_EFER_LMA (1ull << 10)
#define HV_EFER_NXE (1ull << 11)
#define HV_EFER_SVME (1ull << 12)
#define HV_RFLAGS_TF (1ull << 8)
#define HV_RFLAGS_IF (1ull << 9)
#define HV_RFLAGS_DF (1ull << 10)
#define HV_RFLAGS_VM (1ull << 17)
#define HV_RFLAGS_RESERVED1 (1ull << 1)

enum hv_vector { HV_VEC_DE = 0, HV_VEC_DB = 1, HV_VEC_NMI = 2, HV_VEC_BP = 3, HV_VEC_OF = 4,
	HV_VEC_BR = 5, HV_VEC_UD = 6, HV_VEC_NM = 7, HV_VEC_DF = 8, HV_VEC_TS = 10, HV_VEC_NP = 11,
	HV_VEC_SS = 12, HV_VEC_GP = 13, HV_VEC_PF = 14, HV_VEC_MF = 16, HV_VEC_AC = 17, HV_VEC_MC = 18,
	HV_VEC_XM = 19 };

/* SDM vol. 3, 24.8.3 and APM vol. 2, 15.20 share these values. */
enum hv_event_type { HV_EVENT_EXTINT = 0, HV_EVENT_NMI = 2, HV_EVENT_EXCEPTION = 3, HV_EVENT_SOFT_INT = 4,
	HV_EVENT_PRIV_SW = 5, HV_EVENT_SW_EXCEPTION = 6 };
struct hv_event {
	bool valid;
	uint8_t type; /* enum hv_event_type */
	uint8_t vector;
	bool has_error;
	uint32_t error;
	uint8_t insn_len; /* software events */
};

#endif
