/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of Virtual I/O Device (VIRTIO) 1.2, for the devices guests get and for the drivers of
 * the host's own. Section numbers are the standard's. Pure.
 */
#ifndef RAYOS_KERNEL_LIB_VIRTIO_ABI_H
#define RAYOS_KERNEL_LIB_VIRTIO_ABI_H

#include "kernel/lib/types.h"

/* Device types (5). */
enum virtio_id {
	VIRTIO_ID_NET = 1,
	VIRTIO_ID_BLOCK = 2,
	VIRTIO_ID_CONSOLE = 3,
	VIRTIO_ID_ENTROPY = 4,
	VIRTIO_ID_BALLOON = 5,
	VIRTIO_ID_SCSI = 8,
	VIRTIO_ID_GPU = 16,
	VIRTIO_ID_INPUT = 18,
	VIRTIO_ID_SOCKET = 19,
	VIRTIO_ID_METER = 63, /* nobody's: the last that PCI device IDs have room for */
};

/* Device status (2.1). */
#define VIRTIO_S_ACKNOWLEDGE 0x01u
#define VIRTIO_S_DRIVER      0x02u
#define VIRTIO_S_DRIVER_OK   0x04u
#define VIRTIO_S_FEATURES_OK 0x08u
#define VIRTIO_S_NEEDS_RESET 0x40u
#define VIRTIO_S_FAILED      0x80u

/* Feature bits of the core (6); a device offers its own, below 24 or from 50 on. */
#define VIRTIO_F_INDIRECT_DESC   BIT(28)
#define VIRTIO_F_EVENT_IDX       BIT(29)
#define VIRTIO_F_VERSION_1       BIT(32)
#define VIRTIO_F_ACCESS_PLATFORM BIT(33) /* behind the platform's IOMMU */

/* PCI (4.1.2). */
#define VIRTIO_PCI_VENDOR       0x1af4u
#define VIRTIO_PCI_DEVICE       0x1040u /* + device type */
#define VIRTIO_PCI_TRANSITIONAL 0x1000u /* the first of those with other numbers */
/* struct virtio_pci_cap (4.1.4): kinds, and offsets of its fields. */
#define VIRTIO_CAP_VENDOR 0x09u
#define VIRTIO_CAP_COMMON 1u
#define VIRTIO_CAP_NOTIFY 2u
#define VIRTIO_CAP_ISR    3u
#define VIRTIO_CAP_DEVICE 4u
#define VIRTIO_CAP_PCI    5u
#define VIRTIO_CAP_KIND   3u
#define VIRTIO_CAP_BAR    4u
#define VIRTIO_CAP_OFFSET 8u
#define VIRTIO_CAP_LENGTH 12u
#define VIRTIO_CAP_STEP   16u /* of VIRTIO_CAP_NOTIFY */
#define VIRTIO_CAP_DATA   16u /* of VIRTIO_CAP_PCI */

/* struct virtio_pci_common_cfg (4.1.4.3), offsets. */
enum virtio_common_reg {
	COMMON_DFSELECT = 0,
	COMMON_DF = 4,
	COMMON_GFSELECT = 8,
	COMMON_GF = 12,
	COMMON_MSIX = 16,
	COMMON_NUMQ = 18,
	COMMON_STATUS = 20,
	COMMON_GENERATION = 21,
	COMMON_Q_SELECT = 22,
	COMMON_Q_SIZE = 24,
	COMMON_Q_MSIX = 26,
	COMMON_Q_ENABLE = 28,
	COMMON_Q_NOFF = 30,
	COMMON_Q_DESC = 32,
	COMMON_Q_AVAIL = 40,
	COMMON_Q_USED = 48,
	COMMON_SIZE = 56,
};
#define VIRTIO_NO_VECTOR 0xffffu

/* Descriptors' flags (2.7.5). */
#define VIRTIO_DESC_NEXT     1u
#define VIRTIO_DESC_WRITE    2u
#define VIRTIO_DESC_INDIRECT 4u

/* --- block devices (5.2) --- */

/* Feature bits (5.2.3). */
#define VIRTIO_BLK_F_SIZE_MAX     BIT(1)
#define VIRTIO_BLK_F_SEG_MAX      BIT(2)
#define VIRTIO_BLK_F_RO           BIT(5)
#define VIRTIO_BLK_F_BLK_SIZE     BIT(6)
#define VIRTIO_BLK_F_FLUSH        BIT(9)
#define VIRTIO_BLK_F_TOPOLOGY     BIT(10)
#define VIRTIO_BLK_F_CONFIG_WCE   BIT(11)
#define VIRTIO_BLK_F_MQ           BIT(12)
#define VIRTIO_BLK_F_DISCARD      BIT(13)
#define VIRTIO_BLK_F_WRITE_ZEROES BIT(14)

/* Configuration (5.2.4), offsets. */
#define VBLK_CFG_CAPACITY         0u
#define VBLK_CFG_SIZE_MAX         8u
#define VBLK_CFG_SEG_MAX          12u
#define VBLK_CFG_BLK_SIZE         20u
#define VBLK_CFG_TOPOLOGY         24u
#define VBLK_CFG_WRITEBACK        32u
#define VBLK_CFG_NUM_QUEUES       34u
#define VBLK_CFG_MAX_DISCARD      36u
#define VBLK_CFG_MAX_DISCARD_SEG  40u
#define VBLK_CFG_DISCARD_ALIGN    44u
#define VBLK_CFG_MAX_ZEROES       48u
#define VBLK_CFG_MAX_ZEROES_SEG   52u
#define VBLK_CFG_ZEROES_MAY_UNMAP 56u
#define VBLK_CFG_SIZE             60u

/* Request types and what they are answered with (5.2.6). */
enum vblk_type {
	VIRTIO_BLK_T_IN = 0,
	VIRTIO_BLK_T_OUT = 1,
	VIRTIO_BLK_T_FLUSH = 4,
	VIRTIO_BLK_T_GET_ID = 8,
	VIRTIO_BLK_T_DISCARD = 11,
	VIRTIO_BLK_T_WRITE_ZEROES = 13,
};
#define VIRTIO_BLK_S_OK     0u
#define VIRTIO_BLK_S_IOERR  1u
#define VIRTIO_BLK_S_UNSUPP 2u
#define VBLK_ID_LEN         20u /* bytes of the serial number */
#define VBLK_SECTOR         512u

struct vblk_header {
	uint32_t type, reserved;
	uint64_t sector;
};
BUILD_ASSERT(sizeof(struct vblk_header) == 16, "struct virtio_blk_req, 5.2.6");

/* A range of a discard or write-zeroes request. */
#define VBLK_RANGE_UNMAP 1u
struct vblk_range {
	uint64_t sector;
	uint32_t sectors, flags;
};
BUILD_ASSERT(sizeof(struct vblk_range) == 16, "struct virtio_blk_discard_write_zeroes");

/* --- SCSI hosts (5.6) --- */

/* Queues (5.6.2) and configuration (5.6.4), offsets. */
#define VSCSI_QUEUE_FIRST     2u /* of those for requests; before them: control, event */
#define VSCSI_CFG_NUM_QUEUES  0u
#define VSCSI_CFG_SEG_MAX     4u
#define VSCSI_CFG_MAX_SECTORS 8u
#define VSCSI_CFG_CMD_PER_LUN 12u
#define VSCSI_CFG_SENSE_SIZE  20u
#define VSCSI_CFG_CDB_SIZE    24u
#define VSCSI_CFG_MAX_TARGET  30u
#define VSCSI_CFG_MAX_LUN     32u
#define VSCSI_CFG_SIZE        36u

/* A request's two parts (5.6.6.1) with the sizes that a device has after a reset. */
#define VSCSI_CDB_SIZE   32u
#define VSCSI_SENSE_SIZE 96u
struct vscsi_request {
	uint8_t lun[8];
	uint64_t id;
	uint8_t attr, prio, crn;
	uint8_t cdb[VSCSI_CDB_SIZE];
} __packed;
BUILD_ASSERT(sizeof(struct vscsi_request) == 51, "struct virtio_scsi_req_cmd, what the device reads");

struct vscsi_response {
	uint32_t sense_len, residual;
	uint16_t qualifier;
	uint8_t status, response;
	uint8_t sense[VSCSI_SENSE_SIZE];
};
BUILD_ASSERT(sizeof(struct vscsi_response) == 108, "what it writes");

enum vscsi_answer {
	VSCSI_OK = 0,
	VSCSI_OVERRUN = 1,
	VSCSI_ABORTED = 2,
	VSCSI_BAD_TARGET = 3,
	VSCSI_RESET = 4,
	VSCSI_BUSY = 5,
	VSCSI_TRANSPORT_FAILURE = 6,
};

#endif
