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

#define PCI_EXT_CAP_START 0x100u

#define PCI_CLASS_HOST_BRIDGE 0x0600u
#define PCI_CLASS_ISA_BRIDGE  0x0601u
#define PCI_CLASS_PCI_BRIDGE  0x0604u

#endif
