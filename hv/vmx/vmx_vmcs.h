/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMCS field encodings and control bits, as Intel documents them: SDM vol. 3, ch. 25 and
 * appendices A and B. No code.
 */
#ifndef RAYOS_HV_VMX_VMCS_H
#define RAYOS_HV_VMX_VMCS_H

#include "kernel/lib/types.h"

/* 16 bits */
#define VMCS_VPID              0x0000u
#define VMCS_GUEST_ES_SEL      0x0800u /* CS, SS, DS, FS, GS, LDTR, TR follow in steps of 2 */
#define VMCS_HOST_ES_SEL       0x0c00u
#define VMCS_HOST_CS_SEL       0x0c02u
#define VMCS_HOST_SS_SEL       0x0c04u
#define VMCS_HOST_DS_SEL       0x0c06u
#define VMCS_HOST_FS_SEL       0x0c08u
#define VMCS_HOST_GS_SEL       0x0c0au
#define VMCS_HOST_TR_SEL       0x0c0cu
/* 64 bits */
#define VMCS_MSR_BITMAP        0x2004u
#define VMCS_EXIT_MSR_LOAD_ADDR 0x2008u
#define VMCS_ENTRY_MSR_LOAD_ADDR 0x200au
#define VMCS_TSC_OFFSET        0x2010u
#define VMCS_VIRTUAL_APIC      0x2012u
#define VMCS_EPTP              0x201au
#define VMCS_XSS_BITMAP        0x202cu
#define VMCS_GUEST_PHYS        0x2400u
#define VMCS_LINK_POINTER      0x2800u
#define VMCS_GUEST_DEBUGCTL    0x2802u
#define VMCS_GUEST_PAT         0x2804u
#define VMCS_GUEST_EFER        0x2806u
#define VMCS_GUEST_PDPTE0      0x280au /* 1 to 3 follow in steps of 2 */
#define VMCS_HOST_PAT          0x2c00u
#define VMCS_HOST_EFER         0x2c02u
/* 32 bits */
#define VMCS_PIN_CTL           0x4000u
#define VMCS_PROC_CTL          0x4002u
#define VMCS_EXCEPTIONS        0x4004u
#define VMCS_PF_ERROR_MASK     0x4006u
#define VMCS_PF_ERROR_MATCH    0x4008u
#define VMCS_CR3_TARGETS       0x400au
#define VMCS_EXIT_CTL          0x400cu
#define VMCS_EXIT_MSR_STORE    0x400eu
#define VMCS_EXIT_MSR_LOAD     0x4010u
#define VMCS_ENTRY_CTL         0x4012u
#define VMCS_ENTRY_MSR_LOAD    0x4014u
#define VMCS_ENTRY_INTR_INFO   0x4016u
#define VMCS_ENTRY_ERROR_CODE  0x4018u
#define VMCS_ENTRY_INSN_LEN    0x401au
#define VMCS_TPR_THRESHOLD     0x401cu
#define VMCS_PROC2_CTL         0x401eu
#define VMCS_PLE_GAP           0x4020u
#define VMCS_PLE_WINDOW        0x4022u
#define VMCS_INSN_ERROR        0x4400u
#define VMCS_EXIT_REASON       0x4402u
#define VMCS_EXIT_INTR_INFO    0x4404u
#define VMCS_EXIT_INTR_ERROR   0x4406u
#define VMCS_IDT_INFO          0x4408u
#define VMCS_IDT_ERROR         0x440au
#define VMCS_EXIT_INSN_LEN     0x440cu
#define VMCS_GUEST_ES_LIMIT    0x4800u
#define VMCS_GUEST_GDTR_LIMIT  0x4810u
#define VMCS_GUEST_IDTR_LIMIT  0x4812u
#define VMCS_GUEST_ES_AR       0x4814u
#define VMCS_GUEST_INTR_STATE  0x4824u
#define VMCS_GUEST_ACTIVITY    0x4826u
#define VMCS_GUEST_SYSENTER_CS 0x482au
#define VMCS_HOST_SYSENTER_CS  0x4c00u
/* natural width */
#define VMCS_CR0_MASK           0x6000u
#define VMCS_CR4_MASK           0x6002u
#define VMCS_CR0_SHADOW         0x6004u
#define VMCS_CR4_SHADOW         0x6006u
#define VMCS_EXIT_QUAL          0x6400u
#define VMCS_GUEST_LINEAR       0x640au
#define VMCS_GUEST_CR0          0x6800u
#define VMCS_GUEST_CR3          0x6802u
#define VMCS_GUEST_CR4          0x6804u
#define VMCS_GUEST_ES_BASE      0x6806u
#define VMCS_GUEST_GDTR_BASE    0x6816u
#define VMCS_GUEST_IDTR_BASE    0x6818u
#define VMCS_GUEST_DR7          0x681au
#define VMCS_GUEST_RSP          0x681cu
#define VMCS_GUEST_RIP          0x681eu
#define VMCS_GUEST_RFLAGS       0x6820u
#define VMCS_GUEST_PENDING_DBG  0x6822u
#define VMCS_GUEST_SYSENTER_ESP 0x6824u
#define VMCS_GUEST_SYSENTER_EIP 0x6826u
#define VMCS_HOST_CR0           0x6c00u
#define VMCS_HOST_CR3           0x6c02u
#define VMCS_HOST_CR4           0x6c04u
#define VMCS_HOST_FS_BASE       0x6c06u
#define VMCS_HOST_GS_BASE       0x6c08u
#define VMCS_HOST_TR_BASE       0x6c0au
#define VMCS_HOST_GDTR_BASE     0x6c0cu
#define VMCS_HOST_IDTR_BASE     0x6c0eu
#define VMCS_HOST_SYSENTER_ESP  0x6c10u
#define VMCS_HOST_SYSENTER_EIP  0x6c12u
#define VMCS_HOST_RSP          0x6c14
#define VMCS_HOST_RIP           0x6c16u

/* pin-based (25.6.1) */
#define VMX_PIN_EXTINT     (1u << 0)
#define VMX_PIN_NMI        (1u << 3)
#define VMX_PIN_VIRT_NMI   (1u << 5)
#define VMX_PIN_PREEMPT    (1u << 6)
/* primary processor-based (25.6.2) */
#define VMX_PROC_INTR_WINDOW (1u << 2)
#define VMX_PROC_TSC_OFFSET  (1u << 3)
#define VMX_PROC_HLT         (1u << 7)
#define VMX_PROC_INVLPG      (1u << 9)
#define VMX_PROC_MWAIT       (1u << 10)
#define VMX_PROC_RDPMC       (1u << 11)
#define VMX_PROC_RDTSC       (1u << 12)
#define VMX_PROC_CR3_LOAD    (1u << 15)
#define VMX_PROC_CR3_STORE   (1u << 16)
#define VMX_PROC_CR8_LOAD    (1u << 19)
#define VMX_PROC_CR8_STORE   (1u << 20)
#define VMX_PROC_TPR_SHADOW  (1u << 21)
#define VMX_PROC_NMI_WINDOW  (1u << 22)
#define VMX_PROC_MOV_DR      (1u << 23)
#define VMX_PROC_IO          (1u << 24)
#define VMX_PROC_MSR_BITMAP  (1u << 28)
#define VMX_PROC_MONITOR     (1u << 29)
#define VMX_PROC_PAUSE       (1u << 30)
#define VMX_PROC_SECONDARY   (1u << 31)
/* secondary (25.6.2) */
#define VMX_PROC2_EPT          (1u << 1)
#define VMX_PROC2_RDTSCP       (1u << 3)
#define VMX_PROC2_VPID         (1u << 5)
#define VMX_PROC2_WBINVD       (1u << 6)
#define VMX_PROC2_UNRESTRICTED (1u << 7)
#define VMX_PROC2_PLE          (1u << 10)
#define VMX_PROC2_INVPCID      (1u << 12)
#define VMX_PROC2_XSAVES       (1u << 20)
#define VMX_PROC2_TSC_SCALING  (1u << 25)
/* VM exit (25.7.1) */
#define VMX_EXIT_SAVE_DEBUG (1u << 2)
#define VMX_EXIT_HOST_64    (1u << 9)
#define VMX_EXIT_ACK_INTR   (1u << 15)
#define VMX_EXIT_SAVE_PAT   (1u << 18)
#define VMX_EXIT_LOAD_PAT   (1u << 19)
#define VMX_EXIT_SAVE_EFER  (1u << 20)
#define VMX_EXIT_LOAD_EFER  (1u << 21)
/* VM entry (25.8.1) */
#define VMX_ENTRY_LOAD_DEBUG (1u << 2)
#define VMX_ENTRY_IA32E      (1u << 9)
#define VMX_ENTRY_LOAD_PAT   (1u << 14)
#define VMX_ENTRY_LOAD_EFER  (1u << 15)

/* interruptibility (table 25-3) */
#define VMX_INTR_STI   (1u << 0)
#define VMX_INTR_MOVSS (1u << 1)
#define VMX_INTR_NMI   (1u << 3)

/* interruption information, entry and exit alike (25.8.3, 25.9.2) */
#define VMX_INTR_VECTOR(i)   ((uint8_t)((i) & 0xffu))
#define VMX_INTR_TYPE(i)     ((uint8_t)(((i) >> 8) & 7u))
#define VMX_INTR_ERROR_VALID (1u << 11)
#define VMX_INTR_NMI_UNBLOCK (1u << 12)
#define VMX_INTR_VALID       (1u << 31)

/* EPT violation qualification (table 28-7) */
#define VMX_EPTV_READ        (1u << 0)
#define VMX_EPTV_WRITE       (1u << 1)
#define VMX_EPTV_EXEC        (1u << 2)
#define VMX_EPTV_GVA         (1u << 7)
#define VMX_EPTV_FINAL       (1u << 8)
#define VMX_EPTV_NMI_UNBLOCK (1u << 12)

/* IA32_VMX_EPT_VPID_CAP (A.10) */
#define VMX_CAP_WALK4       BIT(6)
#define VMX_CAP_WB          BIT(14)
#define VMX_CAP_2M          BIT(16)
#define VMX_CAP_1G          BIT(17)
#define VMX_CAP_INVEPT      BIT(20)
#define VMX_CAP_AD          BIT(21)
#define VMX_CAP_INVEPT_ONE  BIT(25)
#define VMX_CAP_INVEPT_ALL  BIT(26)
#define VMX_CAP_INVVPID     BIT(32)
#define VMX_CAP_INVVPID_ONE BIT(41)
#define VMX_CAP_INVVPID_ALL BIT(42)

#define VMX_INV_ONE 1u
#define VMX_INV_ALL 2u

/* basic exit reasons (appendix C) */
enum vmx_reason {
	VMX_REASON_EXCEPTION = 0,
	VMX_REASON_EXTINT = 1,
	VMX_REASON_TRIPLE_FAULT = 2,
	VMX_REASON_INIT = 3,
	VMX_REASON_SIPI = 4,
	VMX_REASON_INTR_WINDOW = 7,
	VMX_REASON_NMI_WINDOW = 8,
	VMX_REASON_TASK_SWITCH = 9,
	VMX_REASON_CPUID = 10,
	VMX_REASON_GETSEC = 11,
	VMX_REASON_HLT = 12,
	VMX_REASON_INVD = 13,
	VMX_REASON_RDPMC = 15,
	VMX_REASON_RSM = 17,
	VMX_REASON_VMCALL = 18,
	VMX_REASON_VMCLEAR = 19,
	VMX_REASON_VMXON = 27,
	VMX_REASON_CR = 28,
	VMX_REASON_DR = 29,
	VMX_REASON_IO = 30,
	VMX_REASON_RDMSR = 31,
	VMX_REASON_WRMSR = 32,
	VMX_REASON_BAD_STATE = 33,
	VMX_REASON_BAD_MSR = 34,
	VMX_REASON_MWAIT = 36,
	VMX_REASON_MONITOR = 39,
	VMX_REASON_PAUSE = 40,
	VMX_REASON_ENTRY_MCE = 41,
	VMX_REASON_TPR = 43,
	VMX_REASON_EPT_VIOLATION = 48,
	VMX_REASON_EPT_MISCONFIG = 49,
	VMX_REASON_INVEPT = 50,
	VMX_REASON_PREEMPT_TIMER = 52,
	VMX_REASON_INVVPID = 53,
	VMX_REASON_WBINVD = 54,
	VMX_REASON_XSETBV = 55,
	VMX_REASON_INVPCID = 58,
	VMX_REASON_VMFUNC = 59,
	VMX_REASON_COUNT = 70
};
#define VMX_REASON_ENTRY_FAILED (1u << 31)
#define VMX_REASON_BASIC(r)     ((r) & 0xffffu)

#endif
