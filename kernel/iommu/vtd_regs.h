/* SPDX-License-Identifier: Apache-2.0 */
/* VT-d registers and structures in memory (VT-d 4.1; section numbers are its). */
#ifndef RAYOS_KERNEL_IOMMU_VTD_REGS_H
#define RAYOS_KERNEL_IOMMU_VTD_REGS_H

#include "kernel/lib/types.h"

#define VTD_CAP    0x08u
#define VTD_ECAP   0x10u
#define VTD_GCMD   0x18u
#define VTD_GSTS   0x1cu
#define VTD_RTADDR 0x20u
#define VTD_FSTS   0x34u
#define VTD_FECTL  0x38u
#define VTD_FEDATA 0x3cu
#define VTD_FEADDR 0x40u
#define VTD_FEUADDR 0x44u
#define VTD_IQT    0x88u
#define VTD_IQH    0x80u
#define VTD_IQA    0x90u
#define VTD_REGS_MIN 0x100u

/* 11.4.2: capabilities. */
#define VTD_CAP_DOMAINS(c) (1u << (4u + 2u * ((unsigned int)(c) & 7u)))
#define VTD_CAP_CM         BIT(7)
#define VTD_CAP_LEVELS_3   BIT(9)
#define VTD_CAP_LEVELS_4   BIT(10)
#define VTD_CAP_FRO(c)     ((uint32_t)((c) >> 24 & 0x3ffu) * 16u)
#define VTD_CAP_PSI        BIT(39)
#define VTD_CAP_NFR(c)     ((unsigned int)((c) >> 40 & 0xffu) + 1u)
#define VTD_CAP_MAMV(c)    ((unsigned int)((c) >> 48 & 0x3fu))
#define VTD_ECAP_C         BIT(0)
#define VTD_ECAP_QI        BIT(1)

/* 11.4.4: commands, and what has become of them at the same places. */
#define VTD_GCMD_TE   BIT(31)
#define VTD_GCMD_SRTP BIT(30)
#define VTD_GCMD_QIE  BIT(26)
#define VTD_GSTS_KEEP 0x96ffffffu /* those that are no single event */

/* 11.4.9: faults. */
#define VTD_FSTS_PFO BIT(0)
#define VTD_FSTS_ERRORS 0x7fu
#define VTD_FECTL_MASK BIT(31)
#define VTD_FR_LEN   16u
#define VTD_FR_F     BIT(31) /* of the last word */
#define VTD_FR_READ  BIT(30)
#define VTD_FR_REASON(w) ((w) & 0xffu)

/* 9.1, 9.3: a root entry and a context entry, each of two words. */
#define VTD_PRESENT BIT(0)
#define VTD_CTX_WIDTH(levels) ((uint64_t)(levels) - 2u)
#define VTD_CTX_DOMAIN(id) ((uint64_t)(id) << 8)

/* 9.8: entries of second-stage tables. */
#define VTD_SL_READ  BIT(0)
#define VTD_SL_WRITE BIT(1)

/* 6.5.2: descriptors of the invalidation queue. */
#define VTD_INV_CONTEXT_ALL (0x1u | 1u << 4)
#define VTD_INV_IOTLB_ALL   (0x2u | 1u << 4 | 3u << 6) /* all writes and reads under way end first */
#define VTD_INV_IOTLB_DOMAIN (0x2u | 2u << 4 | 3u << 6)
#define VTD_INV_IOTLB_PAGES (0x2u | 3u << 4 | 3u << 6)
#define VTD_INV_DOMAIN(id)  ((uint64_t)(id) << 16)
#define VTD_INV_WAIT        (0x5u | BIT(5)) /* write a status word, 6.5.2.8 */
#define VTD_INV_WAIT_DATA(v) ((uint64_t)(v) << 32)

#endif
