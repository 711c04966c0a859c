/* SPDX-License-Identifier: Apache-2.0 */
/* xHCI: devices: slots, their contexts, which endpoints they have (4.3, 4.5, 6.2). */
#include <string.h>

#include "devices/host/xhci/xhci.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

/* An input context begins with what is meant of it (6.2.5). */
enum { IN_CONTROL, IN_SLOT, IN_EP0 };
#define ADD         1u /* word of the control context */
#define ADD_SLOT    BIT(0)
#define ADD_EP(dci) BIT(dci)
#define CTX_COUNT   (XHCI_CTX_EPS + 2u)

#define INTERVAL_MIN_FULL 3u  /* 6.2.3.6: a frame, in 125 us to the power of two */
#define INTERVAL_MAX_FULL 10u
#define INTERVAL_MAX      15u
#define AVERAGE_CONTROL   8u
#define AVERAGE_DATA      1024u

static uint32_t *context(const struct xhci *h, const struct dma_buf *b, unsigned int i)
{
	return (uint32_t *)((char *)b->va + i * h->ctx_size);
}

static uint64_t *dcbaa(const struct xhci *h)
{
	return h->dcbaa.va;
}

/* --- contexts --- */

static uint16_t packet0_first(enum usb_speed speed)
{
	switch (speed) {
	case USB_SPEED_LOW:
	case USB_SPEED_FULL:
		return 8;
	case USB_SPEED_HIGH:
		return 64;
	default:
		return 512;
	}
}

static void slot_fill(const struct xhci *h, struct xhci_slot *s, unsigned int entries)
{
	const struct usb_dev *d = s->dev;
	uint32_t *c = context(h, &s->input, IN_SLOT);

	memset(c, 0, h->ctx_size);
	c[0] = d->route | XHCI_SLOT0_SPEED(d->speed) | XHCI_SLOT0_ENTRIES(entries);
	c[1] = XHCI_SLOT1_PORT(d->root_port);
	if (d->tt && d->tt->hc)
		c[2] = XHCI_SLOT2_TT(((const struct xhci_slot *)d->tt->hc)->id, d->tt_port);
}

static void ep0_fill(const struct xhci *h, struct xhci_slot *s, uint16_t packet)
{
	uint32_t *c = context(h, &s->input, IN_EP0);
	uint64_t at = xhci_ring_dequeue(&s->ep[1]->ring);

	memset(c, 0, h->ctx_size);
	c[1] = XHCI_EP1_ERRORS | XHCI_EP1_TYPE(XHCI_EP_TYPE_CONTROL) | XHCI_EP1_PACKET(packet);
	c[2] = (uint32_t)at;
	c[3] = (uint32_t)(at >> 32);
	c[4] = AVERAGE_CONTROL;
	s->ep[1]->packet = packet;
}

/* How often an interrupt endpoint is asked: 125 us to the power of two (6.2.3.6). */
static uint32_t interval_of(const struct usb_dev *d, const struct usb_endpoint *e)
{
	uint32_t exp = INTERVAL_MIN_FULL;

	if (e->kind != USB_EP_INTERRUPT)
		return 0;
	if (d->speed != USB_SPEED_LOW && d->speed != USB_SPEED_FULL)
		return MIN((uint32_t)(e->interval ? e->interval - 1u : 0), INTERVAL_MAX);
	while (exp < INTERVAL_MAX_FULL && (2u << (exp - INTERVAL_MIN_FULL)) <= e->interval)
		exp++;
	return exp;
}

static void ep_fill(const struct xhci *h, struct xhci_slot *s, const struct usb_endpoint *e)
{
	uint8_t dci = xhci_dci(e->address);
	uint32_t *c = context(h, &s->input, IN_SLOT + dci);
	uint64_t at = xhci_ring_dequeue(&s->ep[dci]->ring);
	uint32_t type = e->kind + (e->address & USB_EP_IN ? XHCI_EP_TYPE_IN : 0);
	uint32_t average = e->kind == USB_EP_INTERRUPT ? e->packet : AVERAGE_DATA;

	memset(c, 0, h->ctx_size);
	c[0] = XHCI_EP0_INTERVAL(interval_of(s->dev, e));
	c[1] = XHCI_EP1_ERRORS | XHCI_EP1_TYPE(type) | XHCI_EP1_BURST(e->burst) |
	       XHCI_EP1_PACKET(e->packet);
	c[2] = (uint32_t)at;
	c[3] = (uint32_t)(at >> 32);
	c[4] = average;
	if (e->kind == USB_EP_INTERRUPT)
		c[4] |= (uint32_t)e->packet * (e->burst + 1u) << 16;
}

static int input_command(struct xhci *h, struct xhci_slot *s, enum xhci_trb_type type, uint32_t add)
{
	uint32_t *c = context(h, &s->input, IN_CONTROL);

	memset(c, 0, h->ctx_size);
	c[ADD] = add;
	return xhci_command_ok(h,
			       &(struct xhci_trb){.param = s->input.addr.v,
						  .control = XHCI_TRB_TYPE(type) |
							     XHCI_TRB_SLOT(s->id)},
			       NULL);
}

/* --- slots --- */

static struct xhci_ep *ep_create(struct xhci *h, uint16_t packet)
{
	struct xhci_ep *ep = kzalloc(sizeof(*ep), MEM_DRIVER);

	if (!ep)
		return NULL;
	list_init(&ep->xfers);
	ep->packet = packet;
	if (xhci_ring_init(h, &ep->ring) == 0)
		return ep;
	kfree(ep);
	return NULL;
}

static void slot_free(struct xhci *h, struct xhci_slot *s)
{
	for (unsigned int i = 0; i < XHCI_DCI_MAX; i++) {
		if (!s->ep[i])
			continue;
		xhci_ring_fini(h, &s->ep[i]->ring);
		kfree(s->ep[i]);
	}
	dma_free(h->pci, &s->device);
	dma_free(h->pci, &s->input);
	kfree(s);
}

static struct xhci_slot *slot_create(struct xhci *h, struct usb_dev *d)
{
	struct xhci_slot *s = kzalloc(sizeof(*s), MEM_DRIVER);

	if (!s)
		return NULL;
	s->dev = d;
	s->ep[1] = ep_create(h, packet0_first(d->speed));
	if (s->ep[1] &&
	    dma_alloc(h->pci, CTX_COUNT * h->ctx_size, h->bus.dma_max, &s->device) == 0 &&
	    dma_alloc(h->pci, CTX_COUNT * h->ctx_size, h->bus.dma_max, &s->input) == 0)
		return s;
	slot_free(h, s);
	return NULL;
}

static void slot_set(struct xhci *h, uint8_t id, struct xhci_slot *s)
{
	uint64_t flags = spin_lock_irqsave(&h->lock);

	h->slot[id] = s;
	dcbaa(h)[id] = s ? s->device.addr.v : 0;
	if (s)
		s->dev->hc = s;
	spin_unlock_irqrestore(&h->lock, flags);
}

/* The controller forgets it. One that does not would go on in memory that is given back. */
static void slot_disable(struct xhci *h, uint8_t id)
{
	int code = xhci_command(h,
				&(struct xhci_trb){.control = XHCI_TRB_TYPE(XHCI_DISABLE_SLOT) |
							      XHCI_TRB_SLOT(id)},
				NULL);

	if (code > 0 && code != XHCI_CC_SUCCESS && code != XHCI_CC_SLOT_NOT_ENABLED)
		xhci_fail(h, "a slot is not given back");
}

static int address(struct xhci *h, struct xhci_slot *s)
{
	slot_fill(h, s, 1);
	ep0_fill(h, s, s->ep[1]->packet);
	return input_command(h, s, XHCI_ADDRESS_DEVICE, ADD_SLOT | ADD_EP(1));
}

int xhci_attach(struct usb_dev *d)
{
	struct xhci *h = xhci_of(d);
	struct xhci_slot *s = slot_create(h, d);
	int err;

	if (!s)
		return -RAY_ENOMEM;
	err = xhci_command_ok(h, &(struct xhci_trb){.control = XHCI_TRB_TYPE(XHCI_ENABLE_SLOT)},
			      &s->id);
	if (!err && (s->id == 0 || s->id > h->slots || h->slot[s->id]))
		err = -RAY_EIO;
	if (err) {
		slot_free(h, s);
		return err;
	}
	slot_set(h, s->id, s);
	err = address(h, s);
	if (err)
		xhci_detach(d);
	return err;
}

int xhci_packet0(struct usb_dev *d, uint16_t bytes)
{
	struct xhci *h = xhci_of(d);

	ep0_fill(h, d->hc, bytes);
	return input_command(h, d->hc, XHCI_EVALUATE_CONTEXT, ADD_EP(1));
}

static int endpoint_add(struct xhci *h, struct xhci_slot *s, const struct usb_endpoint *e)
{
	uint8_t dci = xhci_dci(e->address);

	s->ep[dci] = ep_create(h, e->packet);
	if (!s->ep[dci])
		return -RAY_ENOMEM;
	ep_fill(h, s, e);
	return 0;
}

int xhci_configure(struct usb_dev *d)
{
	struct xhci *h = xhci_of(d);
	struct xhci_slot *s = d->hc;
	uint32_t add = ADD_SLOT;
	unsigned int last = 1;
	int err = 0;

	for (unsigned int i = 0; i < d->config.iface_count; i++) {
		const struct usb_interface *f = &d->config.iface[i];

		for (unsigned int n = 0; !err && n < f->ep_count; n++) {
			/* Isochronous ones are for sound and pictures: nobody here uses them. */
			if (f->ep[n].kind == USB_EP_ISOCHRONOUS)
				continue;
			err = endpoint_add(h, s, &f->ep[n]);
			add |= ADD_EP(xhci_dci(f->ep[n].address));
			last = MAX(last, (unsigned int)xhci_dci(f->ep[n].address));
		}
	}
	if (err || add == ADD_SLOT)
		return err;
	slot_fill(h, s, last);
	return input_command(h, s, XHCI_CONFIGURE_ENDPOINT, add);
}

int xhci_hub(struct usb_dev *d, uint8_t ports, uint8_t think)
{
	struct xhci *h = xhci_of(d);
	struct xhci_slot *s = d->hc;
	uint32_t *in = context(h, &s->input, IN_SLOT);

	/* As it is, but for what a hub has more. */
	memcpy(in, context(h, &s->device, 0), h->ctx_size);
	in[0] |= XHCI_SLOT0_HUB;
	in[1] |= XHCI_SLOT1_PORTS(ports);
	if (d->speed == USB_SPEED_HIGH)
		in[2] |= XHCI_SLOT2_THINK(think);
	in[3] = 0;
	return input_command(h, s, XHCI_CONFIGURE_ENDPOINT, ADD_SLOT);
}

/* Nothing new begins. Returns: the slot, NULL: it has none any more. */
static struct xhci_slot *slot_close(struct xhci *h, struct usb_dev *d)
{
	uint64_t flags = spin_lock_irqsave(&h->lock);
	struct xhci_slot *s = d->hc;

	for (unsigned int i = 0; s && i < XHCI_DCI_MAX; i++) {
		if (s->ep[i])
			s->ep[i]->stopping = true;
	}
	d->hc = NULL;
	spin_unlock_irqrestore(&h->lock, flags);
	return s;
}

static void slot_end(struct xhci *h, struct xhci_slot *s)
{
	struct list_head over = LIST_HEAD_INIT(over);
	uint64_t flags;

	slot_disable(h, s->id);
	slot_set(h, s->id, NULL);
	flags = spin_lock_irqsave(&h->lock);
	for (unsigned int i = 0; i < XHCI_DCI_MAX; i++) {
		if (s->ep[i])
			xhci_ep_drain(s->ep[i], -RAY_ENODEV, &over);
	}
	spin_unlock_irqrestore(&h->lock, flags);
	xhci_xfers_end(&over);
	slot_free(h, s);
}

void xhci_detach(struct usb_dev *d)
{
	struct xhci *h = xhci_of(d);
	struct xhci_slot *s;

	mutex_lock(&h->slot_lock);
	s = slot_close(h, d);
	if (s)
		slot_end(h, s);
	mutex_unlock(&h->slot_lock);
}
