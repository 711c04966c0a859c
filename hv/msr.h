/* SPDX-License-Identifier: Apache-2.0 */
/* MSR numbers the guest model knows (SDM vol. 4; APM vol. 2, appendix A). Inside hv/. */
#ifndef RAYOS_HV_MSR_H
#define RAYOS_HV_MSR_H

#define MSR_TSC              0x10u
#define MSR_PLATFORM_ID      0x17u
#define MSR_APIC_BASE        0x1bu
#define MSR_FEATURE_CONTROL  0x3au
#define MSR_TSC_ADJUST       0x3bu
#define MSR_SPEC_CTRL        0x48u
#define MSR_PRED_CMD         0x49u
#define MSR_BIOS_SIGN_ID     0x8bu
#define MSR_MTRRCAP          0xfeu
#define MSR_ARCH_CAPABILITIES 0x10au
#define MSR_SYSENTER_CS      0x174u
#define MSR_SYSENTER_ESP     0x175u
#define MSR_SYSENTER_EIP     0x176u
#define MSR_MCG_CAP          0x179u
#define MSR_MCG_STATUS       0x17au
#define MSR_MISC_ENABLE      0x1a0u
#define MSR_DEBUGCTL         0x1d9u
#define MSR_MTRR_PHYSBASE0   0x200u
#define MSR_MTRR_FIX64K      0x250u
#define MSR_MTRR_FIX16K_80   0x258u
#define MSR_MTRR_FIX16K_A0   0x259u
#define MSR_MTRR_FIX4K_C0    0x268u
#define MSR_PAT              0x277u
#define MSR_MTRR_DEF_TYPE    0x2ffu
#define MSR_TSC_DEADLINE     0x6e0u
#define MSR_X2APIC_FIRST     0x800u
#define MSR_X2APIC_LAST      0x8ffu
#define MSR_EFER             0xc0000080u
#define MSR_STAR             0xc0000081u
#define MSR_LSTAR            0xc0000082u
#define MSR_CSTAR            0xc0000083u
#define MSR_SFMASK           0xc0000084u
#define MSR_FS_BASE          0xc0000100u
#define MSR_GS_BASE          0xc0000101u
#define MSR_KERNEL_GS_BASE   0xc0000102u
#define MSR_TSC_AUX          0xc0000103u
#define MSR_AMD_SYSCFG       0xc0010010u
#define MSR_AMD_HWCR         0xc0010015u
#define MSR_AMD_NB_CFG       0xc001001fu
#define MSR_AMD_INT_PENDING  0xc0010055u
#define MSR_AMD_VM_CR        0xc0010114u
#define MSR_AMD_OSVW_LENGTH  0xc0010140u
#define MSR_AMD_OSVW_STATUS  0xc0010141u
#define MSR_AMD_LS_CFG       0xc0011020u
#define MSR_AMD_DE_CFG       0xc0011029u

#define SPEC_CTRL_IBRS  (1u << 0)
#define SPEC_CTRL_STIBP (1u << 1)
#define SPEC_CTRL_SSBD  (1u << 2)
#define PRED_CMD_IBPB   (1u << 0)

#endif
