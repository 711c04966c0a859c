/* SPDX-License-Identifier: Apache-2.0 */
/* xHCI: controllers: finding, starting, stopping them (4.2), and starting anew. */
#include "devices/host/xhci/xhci.h"

#include <string.h>

#include "kernel/lib/err.h"
#define LOG_TAG "xhci"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"
#include "kernel/mmio.h"
#include "kernel/pci/pci.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define BAR         0u
#define POLL_NS     1000000ull
#define HALT_NS     50000000ull   /* 5.4.1.1: 16 ms */
#define RESET_NS    1000000000ull
#define HANDOFF_NS  1000000000ull /* 4.22.1 */
#define CAPS_WALK   64u

/* --- registers --- */

uint32_t xhci_op_read(const struct xhci *h, uint32_t off)
{
	return mmio_read32(h->regs, h->op + off);
}

void xhci_op_write(struct xhci *h, uint32_t off, uint32_t v)
{
	mmio_write32(h->regs, h->op + off, v);
}

static void op_write64(struct xhci *h, uint32_t off, uint64_t v)
{
	xhci_op_write(h, off, (uint32_t)v);
	xhci_op_write(h, off + 4, (uint32_t)(v >> 32));
}

void xhci_doorbell(struct xhci *h, uint32_t slot, uint32_t target)
{
	mmio_write32(h->regs, h->doorbells + 4 * slot, target);
}

/* Wait until the bits of @mask in a register are @want. */
static int op_wait(const struct xhci *h, uint32_t off, uint32_t mask, uint32_t want, uint64_t ns)
{
	uint64_t end = time_now() + ns;

	for (;;) {
		uint32_t v = xhci_op_read(h, off);

		if (v == XHCI_GONE)
			return -RAY_ENODEV;
		if ((v & mask) == want)
			return 0;
		if (time_now() >= end)
			return -RAY_ETIMEDOUT;
		thread_sleep_until(time_now() + POLL_NS);
	}
}

/* --- firmware --- */

static bool legacy_take(struct xhci *h, uint32_t off)
{
	uint64_t end = time_now() + HANDOFF_NS;
	uint32_t v = mmio_read32(h->regs, off), ctl;

	mmio_write32(h->regs, off, v | XHCI_LEGACY_OS);
	while ((mmio_read32(h->regs, off) & XHCI_LEGACY_BIOS) && time_now() < end)
		thread_sleep_until(time_now() + POLL_NS);
	v = mmio_read32(h->regs, off);
	/* Its SMIs are none of our time any more. */
	ctl = mmio_read32(h->regs, off + XHCI_LEGACY_CTL) & XHCI_LEGACY_CTL_KEEP;
	mmio_write32(h->regs, off + XHCI_LEGACY_CTL, ctl | XHCI_LEGACY_CTL_CLEAR);
	return !(v & XHCI_LEGACY_BIOS);
}

/* Firmware that drives a keyboard with it lets go when it is asked (4.22.1). */
static void firmware_off(struct xhci *h, size_t size)
{
	uint32_t off = XHCI_HCC_XECP(h->hcc);

	for (unsigned int i = 0; off != 0 && i < CAPS_WALK; i++) {
		uint32_t v, step;

		if (off + 2 * sizeof(v) > size)
			return;
		v = mmio_read32(h->regs, off);
		if ((v & 0xffu) == XHCI_XECP_LEGACY) { /* the only one: 7.1 */
			if (!legacy_take(h, off))
				log_warn("firmware does not let go of the controller; it is taken");
			return;
		}
		step = (v >> 8 & 0xffu) * 4u;
		off = step ? off + step : 0;
	}
}

/* --- start and stop --- */

static int halt(struct xhci *h)
{
	xhci_op_write(h, XHCI_USBCMD, 0);
	return op_wait(h, XHCI_USBSTS, XHCI_STS_HALTED, XHCI_STS_HALTED, HALT_NS);
}

static int reset(struct xhci *h)
{
	int err = halt(h);

	if (err == -RAY_ENODEV)
		return err;
	xhci_op_write(h, XHCI_USBCMD, XHCI_CMD_RESET);
	err = op_wait(h, XHCI_USBCMD, XHCI_CMD_RESET, 0, RESET_NS);
	return err ? err : op_wait(h, XHCI_USBSTS, XHCI_STS_CNR, 0, RESET_NS);
}

/* Pages of its own, as many as it says it needs (4.20). */
static int pads_init(struct xhci *h)
{
	unsigned int count = XHCI_SCRATCHPADS(mmio_read32(h->regs, XHCI_HCSPARAMS2));
	uint64_t *list;
	int err;

	if (count == 0)
		return 0;
	h->pad = kcalloc(count, sizeof(*h->pad), MEM_DRIVER);
	if (!h->pad)
		return -RAY_ENOMEM;
	err = dma_alloc(h->pci, count * sizeof(uint64_t), h->bus.dma_max, &h->pads);
	list = h->pads.va;
	for (; !err && h->pad_count < count; h->pad_count++) {
		err = dma_alloc(h->pci, PAGE_SIZE, h->bus.dma_max, &h->pad[h->pad_count]);
		if (err)
			break;
		list[h->pad_count] = h->pad[h->pad_count].addr.v;
	}
	return err;
}

static int memory_init(struct xhci *h)
{
	int err;

	h->slot = kcalloc(h->slots + 1u, sizeof(struct xhci_slot *), MEM_DRIVER);
	if (!h->slot)
		return -RAY_ENOMEM;
	err = dma_alloc(h->pci, (h->slots + 1u) * sizeof(uint64_t), h->bus.dma_max, &h->dcbaa);
	if (!err)
		err = xhci_ring_init(h, &h->cmd);
	if (!err)
		err = xhci_events_init(h);
	if (!err)
		err = pads_init(h);
	return err;
}

static void memory_fini(struct xhci *h)
{
	for (unsigned int i = 0; i < h->pad_count; i++)
		dma_free(h->pci, &h->pad[i]);
	dma_free(h->pci, &h->pads);
	dma_free(h->pci, &h->events);
	dma_free(h->pci, &h->erst);
	dma_free(h->pci, &h->dcbaa);
	xhci_ring_fini(h, &h->cmd);
	kfree(h->pad);
	kfree(h->slot);
}

static void dead_set(struct xhci *h, bool dead)
{
	uint64_t flags = spin_lock_irqsave(&h->lock);

	h->dead = dead;
	spin_unlock_irqrestore(&h->lock, flags);
}

/* After a reset: all it has to know, and off it goes. */
static int start(struct xhci *h)
{
	uint64_t *dcbaa = h->dcbaa.va;

	memset(dcbaa, 0, h->dcbaa.size);
	dcbaa[0] = h->pad_count ? h->pads.addr.v : 0;
	xhci_ring_reset(&h->cmd);
	xhci_op_write(h, XHCI_CONFIG, h->slots);
	op_write64(h, XHCI_DCBAAP, h->dcbaa.addr.v);
	op_write64(h, XHCI_CRCR, xhci_ring_dequeue(&h->cmd));
	pci_master_set(h->pci, true);
	xhci_events_reset(h);
	/* It may say at once that ports have changed (4.19.2). While one interrupt is not heard no
	 * other comes (4.17.2). */
	dead_set(h, false);
	xhci_op_write(h, XHCI_USBCMD, XHCI_CMD_RUN | XHCI_CMD_INTE);
	xhci_ports_power(h);
	return op_wait(h, XHCI_USBSTS, XHCI_STS_HALTED, 0, HALT_NS);
}

/* --- failing --- */

void xhci_fail(struct xhci *h, const char *why)
{
	struct list_head over = LIST_HEAD_INIT(over);
	uint64_t flags = spin_lock_irqsave(&h->lock);
	bool first = !h->dead, tell = h->bus_on;

	h->dead = true;
	/* From here on it reaches no memory, so that what it had may be given back. */
	pci_master_set(h->pci, false);
	for (unsigned int i = 1; i <= h->slots; i++) {
		for (unsigned int n = 0; h->slot[i] && n < XHCI_DCI_MAX; n++) {
			if (h->slot[i]->ep[n])
				xhci_ep_drain(h->slot[i]->ep[n], -RAY_EIO, &over);
		}
	}
	if (h->cmd_thread)
		thread_wake(h->cmd_thread);
	spin_unlock_irqrestore(&h->lock, flags);
	xhci_xfers_end(&over);
	if (!first)
		return;
	log_err("controller failed: %s status=0x%08x", why, xhci_op_read(h, XHCI_USBSTS));
	if (tell)
		usb_bus_trouble(&h->bus);
}

static int restart(struct usb_bus *b)
{
	struct xhci *h = container_of(b, struct xhci, bus);
	int err = reset(h);

	if (!err)
		err = start(h);
	if (err)
		dead_set(h, true);
	return err;
}

/* --- life --- */

static const struct usb_hc_ops ops = {
	.attach = xhci_attach,
	.packet0 = xhci_packet0,
	.configure = xhci_configure,
	.hub = xhci_hub,
	.detach = xhci_detach,
	.submit = xhci_submit,
	.ep_reset = xhci_ep_reset,
	.restart = restart,
};

static void destroy(struct xhci *h)
{
	memory_fini(h);
	if (h->regs)
		vunmap(h->regs);
	kfree(h);
}

/* Where its parts are, and whether they lie inside the BAR. */
static int layout_take(struct xhci *h, size_t size)
{
	uint32_t p1;

	if (size < XHCI_CAPS_LEN)
		return -RAY_ENODEV;
	p1 = mmio_read32(h->regs, XHCI_HCSPARAMS1);
	h->hcc = mmio_read32(h->regs, XHCI_HCCPARAMS1);
	h->op = mmio_read8(h->regs, XHCI_CAPLENGTH);
	h->runtime = mmio_read32(h->regs, XHCI_RTSOFF) & ~0x1fu;
	h->doorbells = mmio_read32(h->regs, XHCI_DBOFF) & ~3u;
	h->slots = XHCI_SLOTS(p1);
	h->bus.root.ports = (uint8_t)XHCI_PORTS(p1);
	h->ctx_size = h->hcc & XHCI_HCC_CSZ ? 64 : 32;
	h->bus.dma_max = h->hcc & XHCI_HCC_AC64 ? UINT64_MAX : UINT32_MAX;
	if (p1 == XHCI_GONE || h->slots == 0 || h->bus.root.ports == 0 ||
	    h->op + XHCI_PORTSC(h->bus.root.ports + 1u) > size ||
	    (uint64_t)h->runtime + XHCI_RUNTIME_LEN > size ||
	    (uint64_t)h->doorbells + 4u * (h->slots + 1u) > size)
		return -RAY_ENODEV;
	return xhci_op_read(h, XHCI_PAGESIZE) & 1u ? 0 : -RAY_ENOSYS;
}

/* Nothing moves any more; undoes all of bring_up(). */
static void stop(struct xhci *h)
{
	(void)reset(h); /* bus mastering goes in any case */
	pci_master_set(h->pci, false);
	pci_irq_release_all(h->pci);
}

static int bring_up(struct xhci *h)
{
	int err = layout_take(h, h->pci->bar[BAR].size);

	if (err)
		return err;
	firmware_off(h, h->pci->bar[BAR].size);
	err = reset(h);
	if (!err)
		err = memory_init(h);
	if (!err)
		err = pci_irq_request(h->pci, 0, 0, xhci_interrupt, h, "xhci");
	if (!err)
		err = start(h);
	if (!err)
		err = usb_bus_add(&h->bus);
	if (err)
		stop(h);
	return err;
}

/* Whether the bus is to be told of what happens. Returns: whether it has failed already. */
static bool bus_on_set(struct xhci *h, bool on)
{
	uint64_t flags = spin_lock_irqsave(&h->lock);
	bool dead = h->dead;

	h->bus_on = on;
	spin_unlock_irqrestore(&h->lock, flags);
	return dead;
}

static int xhci_probe(struct pci_dev *d)
{
	struct xhci *h = kzalloc(sizeof(*h), MEM_DRIVER);
	int err;

	if (!h)
		return -RAY_ENOMEM;
	h->pci = d;
	h->bus.pci = d;
	h->bus.ops = &ops;
	h->bus.root.ops = &xhci_port_ops;
	spin_lock_init(&h->lock, LOCK_ORDER_DRIVER);
	mutex_init(&h->cmd_lock, LOCK_ORDER_NONE);
	mutex_init(&h->slot_lock, LOCK_ORDER_NONE);
	h->regs = pci_bar_map(d, BAR, VMAP_UC);
	err = h->regs ? bring_up(h) : -RAY_ENODEV;
	if (err) {
		destroy(h);
		return err;
	}
	d->priv = h;
	if (bus_on_set(h, true))
		usb_bus_trouble(&h->bus);
	return 0;
}

static void xhci_remove(struct pci_dev *d)
{
	struct xhci *h = d->priv;

	(void)bus_on_set(h, false);
	usb_bus_remove(&h->bus);
	stop(h);
	destroy(h);
}

static const struct pci_match xhci_match[] = {PCI_MATCH_CLASS(0x0c0330, 0xffffff)};

PCI_DRIVER(xhci,
	   .base = {.id = "xhci", .bus = "pci", .cls = DEVICE_BUS},
	   .match = xhci_match, .match_count = ARRAY_SIZE(xhci_match),
	   .probe = xhci_probe, .remove = xhci_remove);
