/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xHCI: what its files share.
 * Owns: a USB host controller: its rings, slots and root ports. Must not know: what devices are
 * for.
 *
 * Locking: `lock` for rings, slots and what is under way; held over no done(). Commands are given
 * one at a time, under `cmd_lock`, by threads.
 * Trust: events name slots, endpoints and blocks; what nothing is under way for is left alone. A
 * controller that does not answer a command is stopped, and begun with anew by the bus's thread.
 */
#ifndef RAYOS_DEVICES_HOST_XHCI_XHCI_H
#define RAYOS_DEVICES_HOST_XHCI_XHCI_H

#include "devices/host/usb/usb.h"
#include "devices/host/xhci/xhci_regs.h"
#include "kernel/dma/dma.h"
#include "kernel/sched/spinlock.h"
#include "kernel/sched/wait.h"

#define XHCI_RING_LEN  256u /* blocks of a ring, a page; the last one links to the first */
#define XHCI_RING_LAST (XHCI_RING_LEN - 1u) /* the link */
#define XHCI_DCI_MAX   32u  /* endpoint 0 is 1, the others number * 2, and one more for IN */

/* Blocks that the controller reads. */
struct xhci_ring {
	struct dma_buf mem;
	uint32_t at;   /* the next to be written */
	uint32_t used; /* that the controller may still read */
	uint32_t cycle;
};

struct xhci_ep {
	struct xhci_ring ring;
	struct list_head xfers; /* in their order on the ring */
	uint16_t packet;
	bool halted;   /* nothing moves before ep_reset() */
	bool stopping; /* nothing new begins */
};

struct xhci_slot {
	uint8_t id;
	struct dma_buf device, input; /* contexts: the controller's own, ours for a command */
	struct xhci_ep *ep[XHCI_DCI_MAX];
	struct usb_dev *dev;
};

struct xhci {
	struct pci_dev *pci;
	void *regs; /* the whole BAR; below are offsets into it */
	uint32_t op, runtime, doorbells;
	uint32_t hcc;
	unsigned int slots, ctx_size;
	struct usb_bus bus;
	bool bus_on; /* set under lock: the bus is told what happens */
	struct spinlock lock;
	bool dead; /* under lock: it is given nothing any more */
	struct xhci_slot **slot; /* by number, from 1 */
	struct mutex slot_lock;  /* none is freed while an endpoint of it is being reset */
	struct dma_buf dcbaa, erst, events, pads;
	struct dma_buf *pad;
	unsigned int pad_count;
	uint32_t event_at, event_cycle;
	/* The command under way. */
	struct mutex cmd_lock;
	struct xhci_ring cmd;
	struct thread *cmd_thread; /* NULL: nobody waits */
	uint64_t cmd_addr;
	bool cmd_over;
	uint8_t cmd_code, cmd_slot;
};

static inline struct xhci *xhci_of(const struct usb_dev *d)
{
	return container_of(d->bus, struct xhci, bus);
}

/* xhci.c: registers */
uint32_t xhci_op_read(const struct xhci *h, uint32_t off);
void xhci_op_write(struct xhci *h, uint32_t off, uint32_t v);
void xhci_doorbell(struct xhci *h, uint32_t slot, uint32_t target);
/** It has failed: stopped, and begun with anew by its bus's thread. Context: any but NMI. */
void xhci_fail(struct xhci *h, const char *why);

/* xhci_ring.c */
int __must_check xhci_ring_init(struct xhci *h, struct xhci_ring *r);
void xhci_ring_fini(struct xhci *h, struct xhci_ring *r);
/** Empty, from the beginning on. */
void xhci_ring_reset(struct xhci_ring *r);
/** Room for so many blocks of one transfer? */
bool xhci_ring_room(const struct xhci_ring *r, uint32_t blocks);
/**
 * Write a block. Of the first of several the controller is told last: @hold keeps it back until
 * xhci_ring_release() with what this returned. Pre: there is room, the lock is held.
 * Returns: its index
 */
uint32_t xhci_ring_put(struct xhci_ring *r, const struct xhci_trb *t, bool hold);
void xhci_ring_release(struct xhci_ring *r, uint32_t index);
/** Where the next block will be, with the cycle state the controller is to expect there. */
uint64_t xhci_ring_dequeue(const struct xhci_ring *r);

/* xhci_cmd.c */
/**
 * Give a command and wait for its end.
 * @slot  the number that comes with the answer; NULL: not asked for
 * Returns: its completion code (> 0), -RAY_EIO (the controller has failed). Context: thread.
 */
int xhci_command(struct xhci *h, const struct xhci_trb *t, uint8_t *slot);
/** The same where all but success is -RAY_EIO. */
int __must_check xhci_command_ok(struct xhci *h, const struct xhci_trb *t, uint8_t *slot);
/** An event says that a command has ended. Context: interrupt, the lock is held. */
void xhci_command_event(struct xhci *h, const struct xhci_trb *e);

/* xhci_event.c */
int __must_check xhci_events_init(struct xhci *h);
void xhci_events_reset(struct xhci *h);
void xhci_interrupt(void *arg);

/* xhci_slot.c: devices. struct usb_hc_ops. */
int xhci_attach(struct usb_dev *d);
int xhci_packet0(struct usb_dev *d, uint16_t bytes);
int xhci_configure(struct usb_dev *d);
int xhci_hub(struct usb_dev *d, uint8_t ports, uint8_t think);
void xhci_detach(struct usb_dev *d);

/* xhci_xfer.c */
int xhci_submit(struct usb_xfer *x);
int xhci_ep_reset(struct usb_dev *d, uint8_t ep);
static inline uint8_t xhci_dci(uint8_t ep)
{
	return (uint8_t)(ep == 0 ? 1u : (ep & 0xfu) * 2u + (ep & USB_EP_IN ? 1u : 0u));
}
/** An event of an endpoint. Those that have ended go to @over. Context: as above. */
void xhci_xfer_event(struct xhci *h, const struct xhci_trb *e, struct list_head *over);
/** All that is under way at an endpoint goes to @over. Context: the lock is held. */
void xhci_ep_drain(struct xhci_ep *ep, int err, struct list_head *over);
/** Call done() of each. Context: no lock. */
void xhci_xfers_end(struct list_head *over);

/* xhci_port.c */
extern const struct usb_hub_ops xhci_port_ops;
/** All ports have power. */
void xhci_ports_power(struct xhci *h);

#endif
