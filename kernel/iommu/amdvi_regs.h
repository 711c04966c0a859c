/* SPDX-License-Identifier: Apache-2.0 */
/* AMD I/O virtualization: registers and structures (AMD 48882, 3.10; section numbers are its). */
#ifndef RAYOS_KERNEL_IOMMU_AMDVI_REGS_H
#define RAYOS_KERNEL_IOMMU_AMDVI_REGS_H

#include "kernel/lib/types.h"

/* 3.4: registers. */
#define AMDVI_DEVICE_TABLE 0x0000u
#define AMDVI_COMMAND_BASE 0x0008u
#define AMDVI_EVENT_BASE   0x0010u
#define AMDVI_CONTROL      0x0018u
#define AMDVI_COMMAND_HEAD 0x2000u
#define AMDVI_COMMAND_TAIL 0x2008u
#define AMDVI_EVENT_HEAD   0x2010u
#define AMDVI_EVENT_TAIL   0x2018u
#define AMDVI_STATUS       0x2020u
#define AMDVI_REGS_LEN     0x4000u

#define AMDVI_BASE_256 (8ull << 56) /* a buffer of 256 entries, 4 KiB */

#define AMDVI_CTL_ON       BIT(0)
#define AMDVI_CTL_EVENTS   BIT(2)
#define AMDVI_CTL_EVENT_IRQ BIT(3)
#define AMDVI_CTL_COHERENT BIT(10)
#define AMDVI_CTL_COMMANDS BIT(12)
#define AMDVI_STS_EVENT_OVERFLOW BIT(0)
#define AMDVI_STS_EVENT_IRQ      BIT(1)

/* 2.2.2.1: device table entries, of four words. */
#define AMDVI_DTE_WORDS 4u
#define AMDVI_DTE_VALID BIT(0)
#define AMDVI_DTE_TRANSLATES BIT(1)
#define AMDVI_DTE_LEVELS(n) ((uint64_t)(n) << 9)
#define AMDVI_DTE_READ  BIT(61)
#define AMDVI_DTE_WRITE BIT(62)

/* 2.2.3: entries of I/O page tables. */
#define AMDVI_PTE_PRESENT BIT(0)
#define AMDVI_PTE_NEXT(level) ((uint64_t)(level) << 9)
#define AMDVI_PTE_READ  BIT(61)
#define AMDVI_PTE_WRITE BIT(62)

/* 2.4: commands, of four 32-bit words. */
#define AMDVI_CMD(op) ((uint32_t)(op) << 28) /* in the second word */
#define AMDVI_CMD_WAIT    1u
#define AMDVI_CMD_DEVICE  2u
#define AMDVI_CMD_PAGES   3u
#define AMDVI_WAIT_STORE  BIT(0)
#define AMDVI_PAGES_MANY  BIT(0) /* the address says how many */
#define AMDVI_PAGES_TABLES BIT(1)
#define AMDVI_PAGES_ALL   0x7ffffffffffff000ull

/* 2.5: events. */
#define AMDVI_EVENT_CODE(w) ((w) >> 28)
#define AMDVI_EVENT_PAGE_FAULT 2u
#define AMDVI_EVENT_WRITE BIT(21) /* of the second word */

#endif
