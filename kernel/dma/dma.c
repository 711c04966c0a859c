/* SPDX-License-Identifier: Apache-2.0 */
/* Without an IOMMU: addresses on the bus are physical ones. */
#include "kernel/dma/dma.h"

#include "kernel/lib/err.h"
#include "kernel/mm/page.h"

#define BUF_MAX MIB(4)

int dma_map(struct pci_dev *d, hpa_t hpa, uint64_t len, enum dma_dir dir, uint64_t max,
	    dma_addr_t *out)
{
	(void)d;
	(void)dir;
	if (hpa.v > max || len - 1 > max - hpa.v)
		return -RAY_ERANGE;
	out->v = hpa.v;
	return 0;
}

void dma_unmap(struct pci_dev *d, dma_addr_t addr, uint64_t len)
{
	(void)d;
	(void)addr;
	(void)len;
}

static unsigned int order_for(size_t size)
{
	unsigned int order = PAGE_ORDER_4K;

	while ((PAGE_SIZE << order) < size)
		order++;
	return order;
}

int dma_alloc(struct pci_dev *d, size_t size, uint64_t max, struct dma_buf *out)
{
	unsigned int flags = PAGE_F_ZERO | (max <= UINT32_MAX ? PAGE_F_LOW : 0);
	hpa_t page;
	int err;

	*out = (struct dma_buf){.size = 0};
	if (size == 0 || size > BUF_MAX)
		return -RAY_ERANGE;
	err = page_alloc(order_for(size), flags, &page);
	if (err)
		return err;
	err = dma_map(d, page, size, DMA_BOTH, max, &out->addr);
	if (err) {
		page_free(page, order_for(size));
		return err;
	}
	out->va = hpa_to_va(page);
	out->size = size;
	return 0;
}

void dma_free(struct pci_dev *d, struct dma_buf *buf)
{
	if (buf->size == 0)
		return;
	dma_unmap(d, buf->addr, buf->size);
	page_free(va_to_hpa(buf->va), order_for(buf->size));
	buf->size = 0;
}
