/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses on the bus are physical ones, with an IOMMU as without. */
#include "kernel/dma/dma.h"

#include "kernel/lib/err.h"
#include "kernel/mm/page.h"
#include "kernel/pci/pci.h"

#define BUF_MAX MIB(4)

static const struct dma_ops *ops; /* NULL: no IOMMU */

void dma_ops_set(const struct dma_ops *o)
{
	ops = o;
}

int dma_attach(struct pci_dev *d)
{
	return ops ? ops->attach(d) : 0;
}

bool dma_confined(const struct pci_dev *d)
{
	return d->dma != NULL;
}

int dma_map(struct pci_dev *d, hpa_t hpa, uint64_t len, enum dma_dir dir, uint64_t max,
	    dma_addr_t *out)
{
	if (hpa.v > max || len - 1 > max - hpa.v)
		return -RAY_ERANGE;
	out->v = hpa.v;
	return unlikely(d->dma) ? ops->map(d->dma, hpa.v, len, dir) : 0;
}

void dma_unmap(struct pci_dev *d, hpa_t hpa, uint64_t len)
{
	if (unlikely(d->dma))
		ops->unmap(d->dma, hpa.v, len);
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
	dma_unmap(d, va_to_hpa(buf->va), buf->size);
	page_free(va_to_hpa(buf->va), order_for(buf->size));
	buf->size = 0;
}
