/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration space offsets and bits (PCI 3.0 ch. 6, PCIe 5.0 ch. 7). Nothing else. */
#ifndef RAYOS_KERNEL_PCI_PCI_REGS_H
#define RAYOS_KERNEL_PCI_PCI_REGS_H

#define PCI_CFG_SIZE_PCI  256u
#define PCI_CFG_SIZE_PCIE 4096u

#define PCI_VENDOR_ID      0x00u
#define PCI_COMMAND        0x04u
#define PCI_STATUS         0x06u
#define PCI_CLASS_REVISION 0x08u
#define PCI_HEADER_TYPE    0x0eu
#define PCI_BAR0           0x10u
#define PCI_SUBSYSTEM_ID   0x2cu
#define PCI_ROM            0x30u
#define PCI_CAP_PTR        0x34u
#define PCI_INT_LINE       0x3cu
#define PCI_INT_PIN        0x3du

/* Type 1 header: PCI-to-PCI bridge. */
#define PCI_BRIDGE_BUSES 0x18u /* primary, secondary, subordinate, latency */
#define PCI_BRIDGE_ROM   0x38u
/* Its windows; 16 bits each hold address bits 31:20, the low four of a prefetchable one its kind. */
#define PCI_BRIDGE_MEM          0x20u /* base, limit */
#define PCI_BRIDGE_PREF         0x24u /* base, limit */
#define PCI_BRIDGE_PREF_BASE_HI 0x28u
#define PCI_BRIDGE_PREF_END_HI  0x2cu
#define PCI_BRIDGE_WINDOW_MASK  0xfff0u
#define PCI_BRIDGE_PREF_KIND    0x000fu
#define PCI_BRIDGE_PREF_64      0x0001u

#define PCI_COMMAND_IO       0x0001u
#define PCI_COMMAND_MEM      0x0002u
#define PCI_COMMAND_MASTER   0x0004u
#define PCI_COMMAND_INTX_OFF 0x0400u
#define PCI_STATUS_CAP_LIST  0x0010u

#define PCI_HEADER_NORMAL  0x00u
#define PCI_HEADER_BRIDGE  0x01u
#define PCI_HEADER_CARDBUS 0x02u
#define PCI_HEADER_MASK    0x7fu
#define PCI_HEADER_MULTI   0x80u

#define PCI_BAR_IO_SPACE  0x1u
#define PCI_BAR_TYPE      0x6u
#define PCI_BAR_TYPE_32   0x0u
#define PCI_BAR_TYPE_1M   0x2u /* PCI 2.1: below 1 MiB */
#define PCI_BAR_TYPE_64   0x4u
#define PCI_BAR_PREFETCH  0x8u
#define PCI_BAR_MEM_MASK  0xfffffff0u
#define PCI_BAR_IO_MASK   0xfffffffcu
#define PCI_ROM_MASK      0xfffff800u
#define PCI_ROM_ENABLE    0x1u

#define PCI_CAP_ID_PM     0x01u
#define PCI_CAP_ID_MSI    0x05u
#define PCI_CAP_ID_VENDOR 0x09u
#define PCI_CAP_ID_EXP    0x10u
#define PCI_CAP_ID_MSIX   0x11u

#define PCI_MSI_CTRL        0x02u
#define PCI_MSI_CTRL_ENABLE 0x0001u
#define PCI_MSI_CTRL_MME    0x0070u
#define PCI_MSI_CTRL_64     0x0080u
#define PCI_MSI_CTRL_MASK   0x0100u
#define PCI_MSI_ADDR        0x04u

#define PCI_MSIX_CTRL        0x02u
#define PCI_MSIX_CTRL_SIZE   0x07ffu
#define PCI_MSIX_CTRL_MASK   0x4000u
#define PCI_MSIX_CTRL_ENABLE 0x8000u
#define PCI_MSIX_TABLE       0x04u
#define PCI_MSIX_BIR         0x7u
#define PCI_MSIX_ENTRY_LEN   16u

/* PCI Express capability (PCIe 5.0, 7.5.3). */
#define PCI_EXP_FLAGS          0x02u
#define PCI_EXP_FLAGS_TYPE(f)  (((f) >> 4) & 0xfu)
#define PCI_EXP_TYPE_ROOT      4u
#define PCI_EXP_TYPE_UPSTREAM  5u
#define PCI_EXP_TYPE_DOWN      6u
#define PCI_EXP_FLAGS_SLOT     0x0100u
#define PCI_EXP_FLAGS_IRQ(f)   (((f) >> 9) & 0x1fu)
#define PCI_EXP_DEVCAP         0x04u
#define PCI_EXP_DEVCAP_MPS     0x7u
#define PCI_EXP_DEVCTL         0x08u
#define PCI_EXP_DEVCTL_MPS     0x00e0u
#define PCI_EXP_DEVCTL_MPS_AT  5u
#define PCI_EXP_LNKCAP         0x0cu
#define PCI_EXP_LNKCAP_ACTIVE  0x00100000u /* it says whether the link is up */
#define PCI_EXP_LNKSTA         0x12u
#define PCI_EXP_LNKSTA_ACTIVE  0x2000u
#define PCI_EXP_SLTCAP         0x14u
#define PCI_EXP_SLTCAP_BUTTON  0x00000001u
#define PCI_EXP_SLTCAP_POWER   0x00000002u
#define PCI_EXP_SLTCAP_LED     0x00000010u
#define PCI_EXP_SLTCAP_HOTPLUG 0x00000040u
#define PCI_EXP_SLTCAP_NO_DONE 0x00040000u
#define PCI_EXP_SLTCAP_NUMBER(c) ((c) >> 19)
#define PCI_EXP_SLTCTL         0x18u
#define PCI_EXP_SLTCTL_BUTTON  0x0001u
#define PCI_EXP_SLTCTL_FAULT   0x0002u
#define PCI_EXP_SLTCTL_CARD    0x0008u
#define PCI_EXP_SLTCTL_IRQ     0x0020u
#define PCI_EXP_SLTCTL_LED     0x0300u
#define PCI_EXP_SLTCTL_LED_ON    0x0100u
#define PCI_EXP_SLTCTL_LED_BLINK 0x0200u
#define PCI_EXP_SLTCTL_LED_OFF   0x0300u
#define PCI_EXP_SLTCTL_OFF     0x0400u /* power */
#define PCI_EXP_SLTCTL_LINK    0x1000u
#define PCI_EXP_SLTSTA         0x1au
#define PCI_EXP_SLTSTA_BUTTON  0x0001u
#define PCI_EXP_SLTSTA_FAULT   0x0002u
#define PCI_EXP_SLTSTA_CARD_CHANGED 0x0008u
#define PCI_EXP_SLTSTA_DONE    0x0010u
#define PCI_EXP_SLTSTA_CARD    0x0040u
#define PCI_EXP_SLTSTA_LINK_CHANGED 0x0100u

#define PCI_EXT_CAP_START 0x100u

#define PCI_CLASS_HOST_BRIDGE 0x0600u
#define PCI_CLASS_ISA_BRIDGE  0x0601u
#define PCI_CLASS_PCI_BRIDGE  0x0604u

#endif
