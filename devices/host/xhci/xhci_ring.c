/* SPDX-License-Identifier: Apache-2.0 */
/* xHCI: rings that the controller reads (4.9.2). */
#include <string.h>

#include "devices/host/xhci/xhci.h"

static struct xhci_trb *blocks(const struct xhci_ring *r)
{
	return r->mem.va;
}

int xhci_ring_init(struct xhci *h, struct xhci_ring *r)
{
	int err = dma_alloc(h->pci, XHCI_RING_LEN * sizeof(struct xhci_trb), h->bus.dma_max,
			    &r->mem);

	if (!err)
		xhci_ring_reset(r);
	return err;
}

void xhci_ring_fini(struct xhci *h, struct xhci_ring *r)
{
	dma_free(h->pci, &r->mem);
}

void xhci_ring_reset(struct xhci_ring *r)
{
	memset(r->mem.va, 0, r->mem.size);
	blocks(r)[XHCI_RING_LAST].param = r->mem.addr.v;
	r->at = 0;
	r->used = 0;
	r->cycle = XHCI_TRB_CYCLE;
}

/* A full ring would look like an empty one. */
bool xhci_ring_room(const struct xhci_ring *r, uint32_t count)
{
	return count < XHCI_RING_LAST - r->used;
}

static void put(struct xhci_trb *b, const struct xhci_trb *t, uint32_t cycle)
{
	b->param = t->param;
	b->status = t->status;
	/* The cycle bit hands it over: last. */
	__atomic_store_n(&b->control, t->control | cycle, __ATOMIC_RELEASE);
}

uint32_t xhci_ring_put(struct xhci_ring *r, const struct xhci_trb *t, bool hold)
{
	uint32_t index = r->at;

	put(&blocks(r)[index], t, hold ? r->cycle ^ XHCI_TRB_CYCLE : r->cycle);
	r->used++;
	if (++r->at < XHCI_RING_LAST)
		return index;
	/* The link belongs to the transfer that goes on behind it. */
	put(&blocks(r)[XHCI_RING_LAST],
	    &(struct xhci_trb){.param = r->mem.addr.v,
			       .control = XHCI_TRB_TYPE(XHCI_LINK) | XHCI_TRB_TOGGLE |
					  (t->control & XHCI_TRB_CHAIN)},
	    r->cycle);
	r->at = 0;
	r->cycle ^= XHCI_TRB_CYCLE;
	return index;
}

void xhci_ring_release(struct xhci_ring *r, uint32_t index)
{
	struct xhci_trb *b = &blocks(r)[index];

	__atomic_store_n(&b->control, b->control ^ XHCI_TRB_CYCLE, __ATOMIC_RELEASE);
}

uint64_t xhci_ring_dequeue(const struct xhci_ring *r)
{
	return (r->mem.addr.v + r->at * sizeof(struct xhci_trb)) | r->cycle;
}
