/* SPDX-License-Identifier: Apache-2.0 */
/* NVM Express: registers, commands and data (NVM Express Base Specification 2.0c, NVM Command Set
 * 1.0c; section numbers are the former's unless said otherwise). */
#ifndef RAYOS_DEVICES_HOST_NVME_NVME_REGS_H
#define RAYOS_DEVICES_HOST_NVME_NVME_REGS_H

#include "kernel/lib/types.h"

/* Controller properties (3.1.3), offsets. */
#define NVME_CAP       0x00u
#define NVME_VS        0x08u
#define NVME_INTMS     0x0cu
#define NVME_CC        0x14u
#define NVME_CSTS      0x1cu
#define NVME_AQA       0x24u
#define NVME_ASQ       0x28u
#define NVME_ACQ       0x30u
#define NVME_DOORBELLS 0x1000u /* PCIe transport 1.0c, 3.1.2 */

#define NVME_CAP_MQES(cap)   ((uint32_t)((cap) & 0xffffu) + 1u)
#define NVME_CAP_TO_MS(cap)  ((uint32_t)(((cap) >> 24) & 0xffu) * 500u)
#define NVME_CAP_DSTRD(cap)  (4u << (((cap) >> 32) & 0xfu))
#define NVME_CAP_NVM(cap)    (((cap) >> 37) & 1u)
#define NVME_CAP_MPSMIN(cap) (4096u << (((cap) >> 48) & 0xfu))

#define NVME_CC_EN          BIT(0)
#define NVME_CC_SHN_NORMAL  BIT(14) /* 3.6.1: what is cached is kept */
#define NVME_CSTS_SHST_MASK (3u << 2)
#define NVME_CSTS_SHST_DONE (2u << 2)
#define NVME_CC_QUEUE_SIZES (6u << 16 | 4u << 20) /* IOSQES 64 bytes, IOCQES 16 bytes */

#define NVME_CSTS_RDY BIT(0)
#define NVME_CSTS_CFS BIT(1)
#define NVME_GONE     0xffffffffu /* what a device that was pulled reads as */

/* A submission queue entry (3.3.3.1). */
struct nvme_sqe {
	uint8_t opcode;
	uint8_t flags; /* 0: PRPs, not fused */
	uint16_t cid;
	uint32_t nsid;
	uint32_t cdw2, cdw3;
	uint64_t mptr;
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
BUILD_ASSERT(sizeof(struct nvme_sqe) == 64, "3.3.3.1");

/* A completion queue entry (3.3.3.2). */
struct nvme_cqe {
	uint32_t result;
	uint32_t dw1;
	uint16_t sq_head, sq_id;
	uint16_t cid, status;
};
BUILD_ASSERT(sizeof(struct nvme_cqe) == 16, "3.3.3.2");

#define NVME_STATUS_PHASE   BIT(0)
#define NVME_STATUS_CODE(s) (((s) >> 1) & 0xffu)
#define NVME_STATUS_TYPE(s) (((s) >> 9) & 0x7u)
#define NVME_STATUS_DNR     BIT(15) /* do not retry */
#define NVME_TYPE_MEDIA     2u

/* Admin commands (5). */
#define NVME_ADMIN_CREATE_SQ    0x01u
#define NVME_ADMIN_GET_LOG      0x02u
#define NVME_ADMIN_CREATE_CQ    0x05u
#define NVME_ADMIN_IDENTIFY     0x06u
#define NVME_ADMIN_ABORT        0x08u
#define NVME_ADMIN_SET_FEATURES 0x09u
#define NVME_ABORT_NOT          0x1u /* of its result: nothing was aborted */

#define NVME_IDENTIFY_NS         0x00u
#define NVME_IDENTIFY_CONTROLLER 0x01u
#define NVME_IDENTIFY_ACTIVE     0x02u
#define NVME_FEATURE_QUEUES      0x07u
#define NVME_LOG_SMART           0x02u
#define NVME_QUEUE_CONTIGUOUS    BIT(0)
#define NVME_QUEUE_INTERRUPTS    BIT(1)

/* NVM commands (NVM Command Set 1.0c, 3.2). */
#define NVME_FLUSH        0x00u
#define NVME_WRITE        0x01u
#define NVME_READ         0x02u
#define NVME_WRITE_ZEROES 0x08u
#define NVME_DSM          0x09u
#define NVME_FUA          BIT(30) /* of cdw12 */
#define NVME_DEAC         BIT(25) /* of cdw12, Write Zeroes: may deallocate */
#define NVME_DSM_DISCARD  BIT(2)  /* of cdw11: deallocate */
struct nvme_dsm_range {
	uint32_t attributes;
	uint32_t blocks;
	uint64_t lba;
};
BUILD_ASSERT(sizeof(struct nvme_dsm_range) == 16, "NVM Command Set, 3.2.3");

/* Identify controller (5.17.2.1), offsets. */
#define NVME_ID_SERIAL   4u
#define NVME_ID_MODEL    24u
#define NVME_ID_FIRMWARE 64u
#define NVME_ID_MDTS     77u
#define NVME_ID_NN       516u
#define NVME_ID_ONCS     520u
#define NVME_ID_VWC      525u
#define NVME_ONCS_DSM    BIT(2)
#define NVME_ONCS_ZEROES BIT(3)
#define NVME_VWC_PRESENT BIT(0)
/* Identify namespace (NVM Command Set, 4.1.5.1), offsets. */
#define NVME_NS_NSZE   0u
#define NVME_NS_NLBAF  25u
#define NVME_NS_FLBAS  26u
#define NVME_NS_LBAF0  128u /* four bytes each: metadata size, data size as a power, ... */
#define NVME_NS_NSATTR 99u
#define NVME_NSATTR_WP BIT(0)
/* SMART log (5.16.1.3), offsets. */
#define NVME_SMART_WARNING   0u
#define NVME_SMART_KELVIN    1u
#define NVME_SMART_USED      5u
#define NVME_SMART_READ      32u /* in thousands of 512 bytes */
#define NVME_SMART_WRITTEN   48u
#define NVME_SMART_HOURS     128u
#define NVME_SMART_UNSAFE    144u
#define NVME_SMART_ERRORS    160u

#endif
