/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and bits of the control registers and MSRs the kernel itself uses (SDM vol. 4,
 * AMD APM vol. 2 app. A). Those of VMX and SVM are in hv/.
 */
#ifndef RAYOS_KERNEL_ARCH_MSR_INDEX_H
#define RAYOS_KERNEL_ARCH_MSR_INDEX_H

#define MSR_APIC_BASE     0x0000001bu
#define MSR_FEATURE_CONTROL 0x0000003au
#define MSR_TSC_ADJUST    0x0000003bu
#define MSR_SPEC_CTRL     0x00000048u
#define MSR_PRED_CMD      0x00000049u
#define MSR_ARCH_CAPABILITIES 0x0000010au
#define MSR_FLUSH_CMD     0x0000010bu
#define MSR_MCG_CAP       0x00000179u
#define MSR_MCG_STATUS    0x0000017au
#define MSR_MCG_CTL       0x0000017bu
#define MSR_PAT           0x00000277u
#define MSR_MC0_CTL       0x00000400u
#define MSR_MC0_STATUS    0x00000401u
#define MSR_MC0_ADDR      0x00000402u
#define MSR_MC0_MISC      0x00000403u
#define MSR_TSC_DEADLINE  0x000006e0u
#define MSR_XSS           0x00000da0u
#define MSR_EFER          0xc0000080u
#define MSR_FS_BASE       0xc0000100u
#define MSR_GS_BASE       0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX       0xc0000103u

/* SDM vol. 3 sec. 2.5. */
#define CR0_PE (1ull << 0)
#define CR0_MP (1ull << 1)
#define CR0_EM (1ull << 2)
#define CR0_TS (1ull << 3)
#define CR0_ET (1ull << 4)
#define CR0_NE (1ull << 5)
#define CR0_WP (1ull << 16)
#define CR0_AM (1ull << 18)
#define CR0_NW (1ull << 29)
#define CR0_CD (1ull << 30)
#define CR0_PG (1ull << 31)

#define CR4_DE         (1ull << 3)
#define CR4_PAE        (1ull << 5)
#define CR4_MCE        (1ull << 6)
#define CR4_PGE        (1ull << 7)
#define CR4_OSFXSR     (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_UMIP       (1ull << 11)
#define CR4_LA57       (1ull << 12)
#define CR4_VMXE       (1ull << 13)
#define CR4_FSGSBASE   (1ull << 16)
#define CR4_PCIDE      (1ull << 17)
#define CR4_OSXSAVE    (1ull << 18)
#define CR4_SMEP       (1ull << 20)
#define CR4_SMAP       (1ull << 21)

#define EFER_SCE  (1ull << 0)
#define EFER_LME  (1ull << 8)
#define EFER_LMA  (1ull << 10)
#define EFER_NXE  (1ull << 11)
#define EFER_SVME (1ull << 12)

#endif
