/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the VT-d driver share. */
#ifndef RAYOS_KERNEL_IOMMU_VTD_H
#define RAYOS_KERNEL_IOMMU_VTD_H

#include "kernel/iommu/iommu.h"
#include "kernel/iommu/vtd_regs.h"

#define VTD_BUSES 256u

struct irq_handle;

struct vtd {
	struct iommu_unit unit;
	void *regs;
	uint64_t cap, ecap;
	struct spinlock lock; /* the queue and the status word */
	uint64_t *root;       /* two words a bus */
	uint64_t *context[VTD_BUSES]; /* two words a function; NULL: none of that bus is attached */
	uint64_t *queue;
	uint32_t tail;        /* bytes */
	uint32_t *status;     /* what the unit writes when it has come so far */
	uint32_t turn;
	struct irq_handle *irq;
};

/* vtd_queue.c */
/** Nothing is remembered of any context, of any page. Context: any but NMI. */
void vtd_flush_all(struct vtd *v);
/** struct iommu_ops.flush() */
void vtd_flush(struct iommu_unit *u, const struct iommu_domain *dom, uint64_t hpa, uint64_t len);
/** Begin to take descriptors. 0, -RAY_ENOMEM, -RAY_ETIMEDOUT. */
int __must_check vtd_queue_init(struct vtd *v);

/* vtd.c */
/** Set a bit of GCMD and wait until it is done. 0, -RAY_ETIMEDOUT. */
int __must_check vtd_command(struct vtd *v, uint32_t bit);

#endif
