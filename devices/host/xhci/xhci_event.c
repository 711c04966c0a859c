/* SPDX-License-Identifier: Apache-2.0 */
/* xHCI: what the controller says, on a ring of its own (4.9.4). */
#include <string.h>

#include "devices/host/xhci/xhci.h"
#include "kernel/mmio.h"

/* The controller's word in memory, copied once. */
static bool event_take(struct xhci *h, struct xhci_trb *out)
{
	const struct xhci_trb *e = (const struct xhci_trb *)h->events.va + h->event_at;
	uint32_t control = __atomic_load_n(&e->control, __ATOMIC_ACQUIRE);

	if ((control & XHCI_TRB_CYCLE) != h->event_cycle)
		return false;
	*out = (struct xhci_trb){.param = __atomic_load_n(&e->param, __ATOMIC_RELAXED),
				 .status = __atomic_load_n(&e->status, __ATOMIC_RELAXED),
				 .control = control};
	if (++h->event_at == XHCI_RING_LEN) {
		h->event_at = 0;
		h->event_cycle ^= XHCI_TRB_CYCLE;
	}
	return true;
}

static void event_do(struct xhci *h, const struct xhci_trb *e, struct list_head *over, bool *ports)
{
	switch (XHCI_TRB_TYPE_OF(e->control)) {
	case XHCI_EV_TRANSFER:
		xhci_xfer_event(h, e, over);
		break;
	case XHCI_EV_COMMAND:
		xhci_command_event(h, e);
		break;
	case XHCI_EV_PORT:
		*ports = true;
		break;
	default: /* a controller that says it is full of events has not lost those of transfers */
		break;
	}
}

static void event_pointer_write(struct xhci *h)
{
	uint64_t at = h->events.addr.v + h->event_at * sizeof(struct xhci_trb);

	mmio_write32(h->regs, h->runtime + XHCI_ERDP, (uint32_t)at | XHCI_ERDP_EHB);
	mmio_write32(h->regs, h->runtime + XHCI_ERDP + 4, (uint32_t)(at >> 32));
}

/* A pin's level falls by that, even where nobody hears what is said any more; of a message it is
 * not needed and does no harm (4.17.5). */
static void interrupt_take(struct xhci *h)
{
	xhci_op_write(h, XHCI_USBSTS, XHCI_STS_EINT);
	mmio_write32(h->regs, h->runtime + XHCI_IMAN, XHCI_IMAN_IE | XHCI_IMAN_IP);
}

/* Returns: whether the controller has failed. */
static bool events_do(struct xhci *h, struct list_head *over, bool *ports)
{
	uint64_t flags = spin_lock_irqsave(&h->lock);
	uint32_t status = xhci_op_read(h, XHCI_USBSTS);
	struct xhci_trb e;
	bool any = false;

	if (!h->dead || (status & XHCI_STS_EINT))
		interrupt_take(h);
	if (h->dead) {
		spin_unlock_irqrestore(&h->lock, flags);
		return false;
	}
	for (unsigned int i = 0; i < XHCI_RING_LEN && event_take(h, &e); i++) {
		event_do(h, &e, over, ports);
		any = true;
	}
	if (any || (status & XHCI_STS_EINT))
		event_pointer_write(h);
	spin_unlock_irqrestore(&h->lock, flags);
	return status == XHCI_GONE || (status & (XHCI_STS_HSE | XHCI_STS_HCE));
}

void xhci_interrupt(void *arg)
{
	struct list_head over = LIST_HEAD_INIT(over);
	struct xhci *h = arg;
	bool ports = false;

	if (events_do(h, &over, &ports))
		xhci_fail(h, "it says so");
	xhci_xfers_end(&over);
	if (ports && h->bus_on)
		usb_hub_wake(&h->bus.root);
}

int xhci_events_init(struct xhci *h)
{
	int err = dma_alloc(h->pci, XHCI_RING_LEN * sizeof(struct xhci_trb), h->bus.dma_max,
			    &h->events);

	return err ? err : dma_alloc(h->pci, sizeof(struct xhci_erst), h->bus.dma_max, &h->erst);
}

void xhci_events_reset(struct xhci *h)
{
	struct xhci_erst *table = h->erst.va;

	memset(h->events.va, 0, h->events.size);
	h->event_at = 0;
	h->event_cycle = XHCI_TRB_CYCLE;
	*table = (struct xhci_erst){.base = h->events.addr.v, .size = XHCI_RING_LEN};
	mmio_write32(h->regs, h->runtime + XHCI_ERSTSZ, 1);
	event_pointer_write(h);
	mmio_write32(h->regs, h->runtime + XHCI_ERSTBA, (uint32_t)h->erst.addr.v);
	mmio_write32(h->regs, h->runtime + XHCI_ERSTBA + 4, (uint32_t)(h->erst.addr.v >> 32));
	mmio_write32(h->regs, h->runtime + XHCI_IMOD, 0);
	mmio_write32(h->regs, h->runtime + XHCI_IMAN, XHCI_IMAN_IE | XHCI_IMAN_IP);
}
