/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for devices: what a device may reach, and under which address.
 * Owns: each PCI function's mappings. Must not know: drivers, what is transferred.
 *
 * Where there is an IOMMU (kernel/iommu/, behind struct dma_ops), a device reaches exactly the
 * pages that are mapped for it. Where there is none, addresses are physical ones and only the rule remains.
 */
#ifndef RAYOS_KERNEL_DMA_DMA_H
#define RAYOS_KERNEL_DMA_DMA_H

#include "kernel/lib/types.h"

struct pci_dev;

/* What a device puts on the bus. */
typedef struct {
	uint64_t v;
} dma_addr_t;

enum dma_dir { DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_BOTH };

/**
 * Let @d reach [hpa, hpa+len) until dma_unmap() of the same range.
 * @max  highest address the device can put on the bus
 * Returns: 0 and *out; -RAY_ERANGE (memory lies above @max and no IOMMU can mend that: bounce),
 *          -RAY_ENOMEM, -RAY_ENOSPC. Context: any but NMI.
 */
int __must_check dma_map(struct pci_dev *d, hpa_t hpa, uint64_t len, enum dma_dir dir,
			 uint64_t max, dma_addr_t *out);
/**
 * Undo a dma_map() of the same range: on return @d does not reach it any more, unless it is mapped
 * once more. Context: any but NMI.
 */
void dma_unmap(struct pci_dev *d, hpa_t hpa, uint64_t len);

/* Where there is an IOMMU. @domain: what attach() has left in the device. */
struct dma_ops {
	/** A driver is about to have the device. 0, -RAY_ENOMEM. Context: thread. */
	int (*attach)(struct pci_dev *d);
	int (*map)(void *domain, uint64_t hpa, uint64_t len, enum dma_dir dir);
	void (*unmap)(void *domain, uint64_t hpa, uint64_t len);
};
/** From now on devices reach nothing by themselves. Context: init, before drivers are bound. */
void dma_ops_set(const struct dma_ops *ops);
/** Does it reach only what is mapped for it? */
bool dma_confined(const struct pci_dev *d);
/** Before a driver's probe(). 0, -RAY_ENOMEM. Context: thread. */
int __must_check dma_attach(struct pci_dev *d);

/* Memory that device and CPU share all the time: rings, tables. Zeroed, page aligned. */
struct dma_buf {
	void *va;
	dma_addr_t addr;
	size_t size; /* bytes; 0: none */
};
/** @size  at most 4 MiB. 0, -RAY_ENOMEM, -RAY_ERANGE, -RAY_ENOSPC. Context: thread. */
int __must_check dma_alloc(struct pci_dev *d, size_t size, uint64_t max, struct dma_buf *out);
/** Nothing happens for a buffer of size 0. */
void dma_free(struct pci_dev *d, struct dma_buf *buf);

#endif
