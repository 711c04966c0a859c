/* SPDX-License-Identifier: Apache-2.0 */
/* VT-d: the queue of invalidations (6.5.2). */
#include "kernel/iommu/vtd.h"
#include "kernel/lib/err.h"
#include "kernel/mm/page.h"
#include "kernel/mmio.h"
#include "kernel/panic.h"
#include "kernel/time/time.h"

#define QUEUE_BYTES PAGE_SIZE
#define DESC_BYTES  16u
#define WAIT_NS     1000000000ull
#define WORDS_OFF   (PAGE_SIZE / 2) /* the status word lies behind nothing else */

static void put(struct vtd *v, uint64_t lo, uint64_t hi)
{
	uint64_t *d = v->queue + v->tail / sizeof(uint64_t);

	d[0] = lo;
	d[1] = hi;
	v->tail = (v->tail + DESC_BYTES) % QUEUE_BYTES;
}

/* What was put is done. A unit that does not get there could let a device reach anything. */
static void run(struct vtd *v)
{
	uint64_t end = time_now() + WAIT_NS;
	uint32_t turn = ++v->turn;

	put(v, VTD_INV_WAIT | VTD_INV_WAIT_DATA(turn), va_to_hpa(v->status).v);
	mmio_write64(v->regs, VTD_IQT, v->tail);
	while (__atomic_load_n(v->status, __ATOMIC_ACQUIRE) != turn) {
		if (time_now() >= end)
			panic("IOMMU %u does not answer: status 0x%x", v->unit.number,
			      mmio_read32(v->regs, VTD_FSTS));
		__builtin_ia32_pause();
	}
}

void vtd_flush_all(struct vtd *v)
{
	uint64_t flags = spin_lock_irqsave(&v->lock);

	put(v, VTD_INV_CONTEXT_ALL, 0);
	put(v, VTD_INV_IOTLB_ALL, 0);
	run(v);
	spin_unlock_irqrestore(&v->lock, flags);
}

void vtd_flush(struct iommu_unit *u, const struct iommu_domain *dom, uint64_t hpa, uint64_t len)
{
	struct vtd *v = container_of(u, struct vtd, unit);
	unsigned int order = iommu_order(hpa, len);
	uint64_t flags = spin_lock_irqsave(&v->lock);

	if ((v->cap & VTD_CAP_PSI) && order <= VTD_CAP_MAMV(v->cap))
		put(v, VTD_INV_IOTLB_PAGES | VTD_INV_DOMAIN(dom->id),
		    (hpa / PAGE_SIZE >> order << order) * PAGE_SIZE | order);
	else
		put(v, VTD_INV_IOTLB_DOMAIN | VTD_INV_DOMAIN(dom->id), 0);
	run(v);
	spin_unlock_irqrestore(&v->lock, flags);
}

int vtd_queue_init(struct vtd *v)
{
	hpa_t queue, status;
	int err = page_alloc(PAGE_ORDER_4K, PAGE_F_ZERO, &queue);

	if (err)
		return err;
	err = page_alloc(PAGE_ORDER_4K, PAGE_F_ZERO, &status);
	if (err) {
		page_free(queue, PAGE_ORDER_4K);
		return err;
	}
	v->queue = hpa_to_va(queue);
	v->status = (uint32_t *)((char *)hpa_to_va(status) + WORDS_OFF);
	mmio_write64(v->regs, VTD_IQT, 0);
	mmio_write64(v->regs, VTD_IQA, queue.v);
	return vtd_command(v, (uint32_t)VTD_GCMD_QIE);
}
