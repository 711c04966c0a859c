/* SPDX-License-Identifier: Apache-2.0 */
/* xHCI: the ports of the root hub (4.19, 5.4.8). */
#include "devices/host/xhci/xhci.h"
#include "kernel/lib/err.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define POLL_NS     5000000ull
#define RESET_NS    500000000ull /* USB 2.0, 7.1.7.5: 10 to 20 ms of it, and what hubs make of that */
#define RECOVERY_NS 10000000ull  /* USB 2.0, 7.1.7.5: TRSTRCY, before the device hears again */

static struct xhci *hc_of(const struct usb_hub *h)
{
	return container_of(h, struct xhci, bus.root);
}

static uint32_t port_read(const struct xhci *x, uint8_t port)
{
	return xhci_op_read(x, XHCI_PORTSC(port));
}

static void port_write(struct xhci *x, uint8_t port, uint32_t set)
{
	xhci_op_write(x, XHCI_PORTSC(port), (port_read(x, port) & XHCI_PORT_KEEP) | set);
}

static int port_state(struct usb_hub *h, uint8_t port, struct usb_port_state *out)
{
	struct xhci *x = hc_of(h);
	uint32_t v = port_read(x, port);

	if (v == XHCI_GONE)
		return -RAY_ENODEV;
	*out = (struct usb_port_state){
		.connected = (v & XHCI_PORT_CCS) != 0,
		.enabled = (v & XHCI_PORT_PED) != 0,
		.changed = (v & XHCI_PORT_CSC) != 0,
		.speed = (enum usb_speed)XHCI_PORT_SPEED(v),
	};
	if (v & XHCI_PORT_CHANGES)
		port_write(x, port, v & XHCI_PORT_CHANGES);
	return 0;
}

/* A SuperSpeed port comes up by itself, and is reset all the same: what hung there before us may
 * have an address already. */
static int port_reset(struct usb_hub *h, uint8_t port)
{
	struct xhci *x = hc_of(h);
	uint64_t end = time_now() + RESET_NS;
	uint32_t v;

	port_write(x, port, XHCI_PORT_PR);
	do {
		thread_sleep_until(time_now() + POLL_NS);
		v = port_read(x, port);
		if (v == XHCI_GONE)
			return -RAY_ENODEV;
	} while (!(v & XHCI_PORT_PRC) && time_now() < end);
	if (!(v & XHCI_PORT_PRC))
		return -RAY_ETIMEDOUT;
	/* But for a plug that was pulled meanwhile, the changes are this reset's. */
	port_write(x, port, v & XHCI_PORT_CHANGES & ~XHCI_PORT_CSC);
	thread_sleep_until(time_now() + RECOVERY_NS);
	return 0;
}

const struct usb_hub_ops xhci_port_ops = {.state = port_state, .reset = port_reset};

void xhci_ports_power(struct xhci *h)
{
	for (unsigned int port = 1; port <= h->bus.root.ports; port++) {
		if (!(port_read(h, (uint8_t)port) & XHCI_PORT_PP))
			port_write(h, (uint8_t)port, XHCI_PORT_PP);
	}
}
