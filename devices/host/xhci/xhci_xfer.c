/* SPDX-License-Identifier: Apache-2.0 */
/* xHCI: transfers (4.11). */
#include "devices/host/xhci/xhci.h"
#include "kernel/lib/err.h"

#define LEN_MASK    0x1ffffu /* of a block's status */
#define RESET_TRIES 3u

/* --- ends --- */

static void end(struct usb_xfer *x, struct xhci_ep *ep, int err, struct list_head *over)
{
	list_move_tail(&x->node, over);
	ep->ring.used -= x->trbs;
	/* Kept where nobody needs the other any more. */
	x->first = (uint32_t)-err;
}

void xhci_ep_drain(struct xhci_ep *ep, int err, struct list_head *over)
{
	struct usb_xfer *x, *next;

	list_for_each_entry_safe (x, next, &ep->xfers, node)
		end(x, ep, err, over);
}

void xhci_xfers_end(struct list_head *over)
{
	struct usb_xfer *x, *next;

	list_for_each_entry_safe (x, next, over, node) {
		list_del(&x->node);
		x->done(x, -(int)x->first);
	}
}

/* --- beginnings --- */

/* Pieces of a transfer, cut where a block's data have to end. */
struct cut {
	const struct usb_xfer *x;
	uint32_t seg, off; /* the piece it is at, and how far into it */
	uint32_t left;     /* bytes behind */
};

static struct cut cut_begin(const struct usb_xfer *x)
{
	return (struct cut){.x = x, .left = x->len};
}

static uint32_t cut_next(struct cut *c, uint64_t *addr)
{
	const struct usb_seg *s = &c->x->seg[c->seg];
	uint32_t n = s->len - c->off;

	*addr = s->addr.v + c->off;
	n = MIN(n, XHCI_TRB_BYTES - (uint32_t)(*addr % XHCI_TRB_BYTES));
	c->off += n;
	c->left -= n;
	if (c->off == s->len) {
		c->seg++;
		c->off = 0;
	}
	return n;
}

static uint32_t blocks_needed(const struct usb_xfer *x)
{
	struct cut c = cut_begin(x);
	uint32_t n = 0;
	uint64_t addr;

	while (c.left) {
		(void)cut_next(&c, &addr);
		n++;
	}
	if (x->ep == 0)
		return n + 2u;
	return MAX(n, 1u);
}

/* Packets of a transfer that have not moved whole when a block ends with @left bytes behind it
 * (4.11.2.4). */
static uint32_t td_size(const struct xhci_ep *ep, const struct usb_xfer *x, uint32_t left)
{
	uint32_t all = (x->len + ep->packet - 1u) / ep->packet;

	return left ? MIN(all - (x->len - left) / ep->packet, XHCI_TD_SIZE_MAX) : 0;
}

static void put(struct xhci_ep *ep, struct usb_xfer *x, const struct xhci_trb *t)
{
	uint32_t at = xhci_ring_put(&ep->ring, t, x->trbs == 0);

	if (x->trbs++ == 0)
		x->first = at;
}

/* The data; @type of the first block, @last what its last one is beside that. */
static void data_put(struct xhci_ep *ep, struct usb_xfer *x, enum xhci_trb_type type,
		     uint32_t flags, uint32_t last)
{
	struct cut c = cut_begin(x);

	while (c.left) {
		uint64_t addr;
		uint32_t n = cut_next(&c, &addr);

		put(ep, x,
		    &(struct xhci_trb){
			    .param = addr,
			    .status = n | XHCI_TRB_TD_SIZE(td_size(ep, x, c.left)),
			    .control = XHCI_TRB_TYPE(type) | flags |
				       (c.left ? XHCI_TRB_CHAIN : last),
		    });
		type = XHCI_NORMAL;
		flags &= ~(uint32_t)XHCI_TRB_DIR_IN; /* of a data stage's first block alone */
	}
}

static void control_put(struct xhci_ep *ep, struct usb_xfer *x)
{
	bool in = (x->setup.type & USB_REQ_IN) != 0;
	uint32_t trt = x->len == 0 ? 0 : in ? XHCI_TRB_TRT_IN : XHCI_TRB_TRT_OUT;
	struct xhci_trb t = {.status = sizeof(x->setup),
			     .control = XHCI_TRB_TYPE(XHCI_SETUP) | XHCI_TRB_IDT | trt};

	__builtin_memcpy(&t.param, &x->setup, sizeof(t.param));
	put(ep, x, &t);
	data_put(ep, x, XHCI_DATA, in ? XHCI_TRB_DIR_IN | XHCI_TRB_ISP : 0, 0);
	/* The other way round than the data, IN where there are none (4.11.2.2). */
	put(ep, x,
	    &(struct xhci_trb){.control = XHCI_TRB_TYPE(XHCI_STATUS) | XHCI_TRB_IOC |
					  (in && x->len ? 0 : XHCI_TRB_DIR_IN)});
}

static void normal_put(struct xhci_ep *ep, struct usb_xfer *x)
{
	if (x->len == 0)
		put(ep, x,
		    &(struct xhci_trb){.control = XHCI_TRB_TYPE(XHCI_NORMAL) | XHCI_TRB_IOC});
	else
		data_put(ep, x, XHCI_NORMAL, x->ep & USB_EP_IN ? XHCI_TRB_ISP : 0, XHCI_TRB_IOC);
}

static int submit_locked(struct xhci *h, struct usb_xfer *x)
{
	struct xhci_slot *s = x->dev->hc;
	uint8_t dci = xhci_dci(x->ep);
	struct xhci_ep *ep;

	if (!s)
		return -RAY_ENODEV;
	ep = s->ep[dci];
	if (!ep || h->dead || ep->halted)
		return -RAY_EIO;
	if (ep->stopping)
		return -RAY_ECANCELED;
	if (!xhci_ring_room(&ep->ring, blocks_needed(x)))
		return -RAY_ENOSPC;
	x->trbs = 0;
	x->got = x->len;
	if (x->ep == 0)
		control_put(ep, x);
	else
		normal_put(ep, x);
	list_add_tail(&x->node, &ep->xfers);
	xhci_ring_release(&ep->ring, x->first);
	xhci_doorbell(h, s->id, dci);
	return 0;
}

int xhci_submit(struct usb_xfer *x)
{
	struct xhci *h = xhci_of(x->dev);
	uint64_t flags = spin_lock_irqsave(&h->lock);
	int err = submit_locked(h, x);

	spin_unlock_irqrestore(&h->lock, flags);
	return err;
}

/* --- what the controller says of them --- */

static bool holds(const struct usb_xfer *x, uint32_t index)
{
	return (index + XHCI_RING_LAST - x->first) % XHCI_RING_LAST < x->trbs;
}

static struct usb_xfer *xfer_at(const struct xhci_ep *ep, uint32_t index)
{
	struct usb_xfer *x;

	list_for_each_entry (x, &ep->xfers, node) {
		if (holds(x, index))
			return x;
	}
	return NULL;
}

static const struct xhci_trb *block(const struct xhci_ep *ep, uint32_t index)
{
	return (const struct xhci_trb *)ep->ring.mem.va + index % XHCI_RING_LAST;
}

static bool is_data(const struct xhci_trb *b)
{
	uint32_t type = XHCI_TRB_TYPE_OF(b->control);

	return type == XHCI_NORMAL || type == XHCI_DATA;
}

/* Bytes moved: all before the block, and of it what is not left. */
static uint32_t bytes_got(const struct xhci_ep *ep, const struct usb_xfer *x, uint32_t index,
			  uint32_t left)
{
	uint32_t n = 0;

	for (uint32_t i = x->first; i % XHCI_RING_LAST != index; i++) {
		if (is_data(block(ep, i)))
			n += block(ep, i)->status & LEN_MASK;
	}
	if (is_data(block(ep, index))) {
		uint32_t len = block(ep, index)->status & LEN_MASK;

		n += len - MIN(left, len);
	}
	return MIN(n, x->len);
}

/* What a completion code means. false: nothing has ended. */
static bool code_take(uint32_t code, int *err)
{
	switch (code) {
	case XHCI_CC_SUCCESS:
	case XHCI_CC_SHORT:
		*err = 0;
		return true;
	case XHCI_CC_STOPPED:
	case XHCI_CC_STOPPED_INVALID:
	case XHCI_CC_STOPPED_SHORT:
	case XHCI_CC_RING_UNDERRUN:
	case XHCI_CC_RING_OVERRUN:
		return false;
	case XHCI_CC_STALL:
		*err = -RAY_EPROTO;
		return true;
	default:
		*err = -RAY_EIO;
		return true;
	}
}

static struct xhci_ep *ep_of(const struct xhci *h, const struct xhci_trb *e)
{
	uint32_t id = XHCI_TRB_SLOT_OF(e->control);

	if (id == 0 || id > h->slots || !h->slot[id])
		return NULL;
	return h->slot[id]->ep[XHCI_TRB_EP_OF(e->control)];
}

void xhci_xfer_event(struct xhci *h, const struct xhci_trb *e, struct list_head *over)
{
	struct xhci_ep *ep = ep_of(h, e);
	uint32_t code = XHCI_EVENT_CODE(e->status);
	uint64_t index;
	struct usb_xfer *x;
	int err;

	if (!ep || !code_take(code, &err))
		return;
	index = (e->param - ep->ring.mem.addr.v) / sizeof(struct xhci_trb);
	x = index < XHCI_RING_LAST ? xfer_at(ep, (uint32_t)index) : NULL;
	/* A transfer that ended in its middle may be told of once more at its end. */
	if (!x)
		return;
	/* A status stage that went well says nothing of the data before it. */
	if (is_data(block(ep, (uint32_t)index)) || code != XHCI_CC_SUCCESS)
		x->got = bytes_got(ep, x, (uint32_t)index, XHCI_EVENT_LEFT(e->status));
	if (err)
		ep->halted = true;
	/* A short data stage is followed by its status stage. */
	if (!err && x->ep == 0 && is_data(block(ep, (uint32_t)index)))
		return;
	end(x, ep, err, over);
}

/* --- taking back --- */

/* As the controller has it in memory: a hint, the command's answer is what counts. */
static bool is_halted(const struct xhci *h, const struct xhci_slot *s, uint8_t dci)
{
	const uint32_t *c = (const uint32_t *)((const char *)s->device.va + dci * h->ctx_size);

	return XHCI_EP0_STATE(__atomic_load_n(c, __ATOMIC_RELAXED)) == XHCI_EP_HALTED;
}

/* It reads its ring no more. 0, -RAY_EIO. */
static int ep_stop(struct xhci *h, const struct xhci_slot *s, uint8_t dci)
{
	for (unsigned int i = 0; i < RESET_TRIES; i++) {
		bool halted = is_halted(h, s, dci);
		int code = xhci_command(
			h,
			&(struct xhci_trb){.control = XHCI_TRB_TYPE(halted ? XHCI_RESET_ENDPOINT
									   : XHCI_STOP_ENDPOINT) |
						      XHCI_TRB_SLOT(s->id) | XHCI_TRB_EP(dci)},
			NULL);

		if (code < 0)
			return code;
		/* It stood still already, or halted just now. */
		if (code == XHCI_CC_SUCCESS ||
		    (code == XHCI_CC_CONTEXT_STATE && !is_halted(h, s, dci)))
			return 0;
	}
	return -RAY_EIO;
}

/* Nothing new begins there. */
static struct xhci_ep *ep_close(struct xhci *h, const struct usb_dev *d, uint8_t dci)
{
	uint64_t flags = spin_lock_irqsave(&h->lock);
	const struct xhci_slot *s = d->hc;
	struct xhci_ep *ep = s ? s->ep[dci] : NULL;

	if (ep)
		ep->stopping = true;
	spin_unlock_irqrestore(&h->lock, flags);
	return ep;
}

static void ep_open(struct xhci *h, struct xhci_ep *ep)
{
	uint64_t flags = spin_lock_irqsave(&h->lock);

	ep->halted = false;
	ep->stopping = false;
	spin_unlock_irqrestore(&h->lock, flags);
}

static void ep_empty(struct xhci *h, struct xhci_ep *ep)
{
	struct list_head over = LIST_HEAD_INIT(over);
	uint64_t flags = spin_lock_irqsave(&h->lock);

	xhci_ep_drain(ep, -RAY_ECANCELED, &over);
	xhci_ring_reset(&ep->ring);
	spin_unlock_irqrestore(&h->lock, flags);
	xhci_xfers_end(&over);
}

static int ep_reset_locked(struct xhci *h, struct usb_dev *d, uint8_t dci)
{
	struct xhci_ep *ep = ep_close(h, d, dci);
	const struct xhci_slot *s = d->hc;
	int err;

	if (!ep)
		return -RAY_ENODEV;
	err = ep_stop(h, s, dci);
	if (err)
		xhci_fail(h, "an endpoint does not stop");
	ep_empty(h, ep);
	if (!err)
		err = xhci_command_ok(h,
				      &(struct xhci_trb){.param = xhci_ring_dequeue(&ep->ring),
							 .control = XHCI_TRB_TYPE(XHCI_SET_DEQUEUE) |
								    XHCI_TRB_SLOT(s->id) |
								    XHCI_TRB_EP(dci)},
				      NULL);
	ep_open(h, ep);
	return err;
}

int xhci_ep_reset(struct usb_dev *d, uint8_t ep)
{
	struct xhci *h = xhci_of(d);
	int err;

	mutex_lock(&h->slot_lock);
	err = ep_reset_locked(h, d, xhci_dci(ep));
	mutex_unlock(&h->slot_lock);
	return err;
}
