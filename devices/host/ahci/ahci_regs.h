/* SPDX-License-Identifier: Apache-2.0 */
/* AHCI registers and structures in memory (Serial ATA AHCI 1.3.1, section numbers are its). */
#ifndef RAYOS_DEVICES_HOST_AHCI_AHCI_REGS_H
#define RAYOS_DEVICES_HOST_AHCI_AHCI_REGS_H

#include "kernel/lib/types.h"

/* Of the controller (3.1), offsets. */
#define AHCI_CAP  0x00u
#define AHCI_GHC  0x04u
#define AHCI_IS   0x08u
#define AHCI_PI   0x0cu
#define AHCI_CAP2 0x24u
#define AHCI_BOHC 0x28u

#define AHCI_CAP_SLOTS(cap) ((((cap) >> 8) & 0x1fu) + 1u)
#define AHCI_CAP_SCLO       BIT(24) /* ports can override BSY (3.3.7, CLO) */
#define AHCI_CAP_NCQ        BIT(30)
#define AHCI_CAP_64         BIT(31)
#define AHCI_GHC_HR         BIT(0)  /* reset */
#define AHCI_GHC_IE         BIT(1)
#define AHCI_GHC_AE         BIT(31)
#define AHCI_CAP2_BOH       BIT(0)  /* firmware hands it over when asked */
#define AHCI_BOHC_BOS       BIT(0)
#define AHCI_BOHC_OOS       BIT(1)
#define AHCI_BOHC_BB        BIT(4)
#define AHCI_GONE           0xffffffffu /* what a device that was pulled reads as */

/* Of a port (3.3), offsets from where it begins. */
#define AHCI_PORTS_MAX   32u
#define AHCI_PORT(n)     (0x100u + 0x80u * (n))
#define AHCI_PORT_LEN    0x80u
#define AHCI_PX_CLB      0x00u
#define AHCI_PX_FB       0x08u
#define AHCI_PX_IS       0x10u
#define AHCI_PX_IE       0x14u
#define AHCI_PX_CMD      0x18u
#define AHCI_PX_TFD      0x20u
#define AHCI_PX_SIG      0x24u
#define AHCI_PX_SSTS     0x28u
#define AHCI_PX_SCTL     0x2cu
#define AHCI_PX_SERR     0x30u
#define AHCI_PX_SACT     0x34u
#define AHCI_PX_CI       0x38u

#define AHCI_CMD_ST         BIT(0)
#define AHCI_CMD_SUD        BIT(1)
#define AHCI_CMD_POD        BIT(2)
#define AHCI_CMD_CLO        BIT(3)
#define AHCI_CMD_FRE        BIT(4)
#define AHCI_CMD_FR         BIT(14)
#define AHCI_CMD_CR         BIT(15)
#define AHCI_CMD_ICC_ACTIVE (1u << 28)
#define AHCI_TFD_STATUS(v)  ((uint8_t)(v))
#define AHCI_TFD_ERROR(v)   ((uint8_t)((v) >> 8))
#define AHCI_SSTS_DET(v)    ((v) & 0xfu)
#define AHCI_DET_NONE       0u
#define AHCI_DET_SEEN       1u /* somebody is there, no link yet */
#define AHCI_DET_LINK       3u
#define AHCI_SCTL_RESET     1u
#define AHCI_SIG_ATA        0x00000101u
#define AHCI_SIG_ATAPI      0xeb140101u

/* Interrupts (3.3.5): what ends commands, and what stops the port. */
#define AHCI_IS_DHRS BIT(0)
#define AHCI_IS_PSS  BIT(1)
#define AHCI_IS_SDBS BIT(3)
#define AHCI_IS_PCS  BIT(6)
#define AHCI_IS_PRCS BIT(22)
#define AHCI_IS_OFS  BIT(24)
#define AHCI_IS_IFS  BIT(27)
#define AHCI_IS_HBDS BIT(28)
#define AHCI_IS_HBFS BIT(29)
#define AHCI_IS_TFES BIT(30)
#define AHCI_IS_ENDS (AHCI_IS_DHRS | AHCI_IS_PSS | AHCI_IS_SDBS)
#define AHCI_IS_BAD                                                                              \
	(AHCI_IS_PCS | AHCI_IS_PRCS | AHCI_IS_OFS | AHCI_IS_IFS | AHCI_IS_HBDS |                  \
	 AHCI_IS_HBFS | AHCI_IS_TFES)

/* A command header (4.2.2): one for each slot. */
struct ahci_header {
	uint16_t flags; /* FIS length in words, AHCI_H_* */
	uint16_t prds;
	uint32_t moved; /* bytes, the controller's */
	uint64_t table; /* 128-byte aligned */
	uint32_t reserved[4];
};
BUILD_ASSERT(sizeof(struct ahci_header) == 32, "4.2.2");
#define AHCI_H_WRITE BIT(6)

/* A piece of memory (4.2.3.3). */
struct ahci_prd {
	uint64_t addr; /* even */
	uint32_t reserved;
	uint32_t len;  /* bytes less one, 22 bits, odd */
};
BUILD_ASSERT(sizeof(struct ahci_prd) == 16, "4.2.3.3");
#define AHCI_PRD_MAX MIB(4)
#define AHCI_PRDS    256u

/* A command table (4.2.3). */
struct ahci_table {
	uint8_t fis[64];
	uint8_t atapi[64];
	struct ahci_prd prd[AHCI_PRDS];
};
BUILD_ASSERT(sizeof(struct ahci_table) % 128 == 0, "4.2.2: tables are aligned to 128 bytes");

/* The FIS a command goes out as: register, host to device (Serial ATA 3.x, 10.5.5). */
#define AHCI_FIS_H2D     0x27u
#define AHCI_FIS_COMMAND BIT(7)
#define AHCI_FIS_LEN     5u /* words */
/* What comes in (4.2.1): where the last register FIS, device to host, is put. */
#define AHCI_RFIS_D2H 0x40u
#define AHCI_RFIS_LEN 256u

#endif
