/* SPDX-License-Identifier: Apache-2.0 */
/* Hubs that hang on a port themselves (USB 2.0, chapter 11; USB 3.2, chapter 10). */
#include "devices/host/usb/usb.h"
#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"
#include "kernel/mm/heap.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define PORTS_MAX     31u /* what fits the words below */
#define DESC_LEN      12u
#define SET_DEPTH     12u /* USB 3.2, 10.16.2.9 */
#define POLL_NS       10000000ull
#define RESET_NS      800000000ull
#define RECOVERY_NS   10000000ull

/* Features of a port, table 11-17. */
#define PORT_RESET_FEATURE 4u
#define PORT_POWER_FEATURE 8u
#define C_PORT_CONNECTION  16u
#define C_PORT_RESET       20u
/* wPortStatus and wPortChange. */
#define PORT_CONNECTION BIT(0)
#define PORT_ENABLE     BIT(1)
#define PORT_RESET      BIT(4)
#define PORT_LOW        BIT(9)
#define PORT_HIGH       BIT(10)

struct hub {
	struct usb_hub hub;
	struct usb_listener changes;
};

static int port_feature(struct usb_hub *h, uint8_t request, uint16_t feature, uint8_t port)
{
	struct usb_setup s = {.type = USB_REQ_CLASS | USB_REQ_OTHER, .request = request,
			      .value = feature, .index = port};

	return usb_control(h->dev, &s, NULL, NULL);
}

/* wPortStatus, and wPortChange above it. */
static int port_status(struct usb_hub *h, uint8_t port, uint32_t *out)
{
	struct usb_setup s = {.type = USB_REQ_IN | USB_REQ_CLASS | USB_REQ_OTHER,
			      .request = USB_GET_STATUS, .index = port, .length = 4};
	uint8_t p[4];
	int err = usb_control(h->dev, &s, p, NULL);

	if (!err)
		*out = load32(p);
	return err;
}

static enum usb_speed speed_of(const struct usb_hub *h, uint32_t status)
{
	if (h->super)
		return h->dev->speed;
	if (status & PORT_LOW)
		return USB_SPEED_LOW;
	return status & PORT_HIGH ? USB_SPEED_HIGH : USB_SPEED_FULL;
}

/* Every change that is said has its feature that takes it: 16 and up, in the bits' order. */
static int changes_clear(struct usb_hub *h, uint8_t port, uint32_t changes)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < 16; i++) {
		if (changes & BIT(i))
			err = port_feature(h, USB_CLEAR_FEATURE, (uint16_t)(C_PORT_CONNECTION + i),
					   port);
	}
	return err;
}

static int hub_port_state(struct usb_hub *h, uint8_t port, struct usb_port_state *out)
{
	uint32_t v;
	int err = port_status(h, port, &v);

	if (err)
		return err;
	*out = (struct usb_port_state){
		.connected = (v & PORT_CONNECTION) != 0,
		.enabled = (v & PORT_ENABLE) != 0,
		.changed = (v >> 16 & PORT_CONNECTION) != 0,
		.speed = speed_of(h, v),
	};
	/* A SuperSpeed hub has more kinds of change than have a feature at that place. */
	return changes_clear(h, port, v >> 16 & (h->super ? PORT_CONNECTION | PORT_RESET : 0x1fu));
}

static int hub_port_reset(struct usb_hub *h, uint8_t port)
{
	uint64_t end = time_now() + RESET_NS;
	uint32_t v = 0;
	int err = port_feature(h, USB_SET_FEATURE, PORT_RESET_FEATURE, port);

	while (!err && !(v >> 16 & PORT_RESET)) {
		if (time_now() >= end)
			return -RAY_ETIMEDOUT;
		thread_sleep_until(time_now() + POLL_NS);
		err = port_status(h, port, &v);
	}
	if (!err)
		err = port_feature(h, USB_CLEAR_FEATURE, C_PORT_RESET, port);
	thread_sleep_until(time_now() + RECOVERY_NS);
	return err;
}

static const struct usb_hub_ops hub_ops = {.state = hub_port_state, .reset = hub_port_reset};

/* Which ports it is does not matter: all are looked at. */
static void change_heard(void *owner, const uint8_t *p, uint32_t len)
{
	(void)p;
	(void)len;
	usb_hub_wake(owner);
}

static int describe(struct hub *b, uint8_t *think, uint64_t *power_ns)
{
	struct usb_dev *d = b->hub.dev;
	enum usb_desc_type type = b->hub.super ? USB_DESC_SUPER_HUB : USB_DESC_HUB;
	struct usb_setup s = {.type = USB_REQ_IN | USB_REQ_CLASS, .request = USB_GET_DESCRIPTOR,
			      .value = (uint16_t)((unsigned int)type << 8), .length = DESC_LEN};
	uint8_t p[DESC_LEN];
	uint32_t got;
	int err = usb_control(d, &s, p, &got);

	if (err)
		return err;
	if (got < 7 || p[1] != type || p[2] == 0 || p[2] > PORTS_MAX)
		return -RAY_EPROTO;
	b->hub.ports = p[2];
	*think = p[3] >> 5 & 3u;
	*power_ns = p[5] * 2000000ull;
	return 0;
}

static int power_on(struct hub *b, uint64_t power_ns)
{
	int err = 0;

	for (unsigned int port = 1; !err && port <= b->hub.ports; port++)
		err = port_feature(&b->hub, USB_SET_FEATURE, PORT_POWER_FEATURE, (uint8_t)port);
	thread_sleep_until(time_now() + power_ns);
	return err;
}

static int bring_up(struct hub *b)
{
	struct usb_dev *d = b->hub.dev;
	struct usb_setup depth = {.type = USB_REQ_CLASS, .request = SET_DEPTH, .value = d->depth};
	uint64_t power_ns;
	uint8_t think;
	int err = describe(b, &think, &power_ns);

	if (!err)
		err = d->bus->ops->hub(d, b->hub.ports, think);
	if (!err && b->hub.super)
		err = usb_control(d, &depth, NULL, NULL);
	return err ? err : power_on(b, power_ns);
}

static int hub_probe(struct usb_dev *d, const struct usb_interface *i, void **priv)
{
	const struct usb_endpoint *in = usb_ep_find(i, USB_EP_INTERRUPT, true);
	struct hub *b;
	int err;

	if (!in)
		return -RAY_EPROTO;
	b = kzalloc(sizeof(*b), MEM_DRIVER);
	if (!b)
		return -RAY_ENOMEM;
	b->hub = (struct usb_hub){.bus = d->bus, .dev = d, .ops = &hub_ops,
				  .super = d->speed >= USB_SPEED_SUPER};
	err = bring_up(b);
	if (!err)
		err = usb_hub_add(&b->hub);
	if (err) {
		kfree(b);
		return err;
	}
	err = usb_listen(&b->changes, d, in, change_heard, &b->hub);
	if (err) {
		usb_hub_remove(&b->hub);
		kfree(b);
		return err;
	}
	*priv = b;
	return 0;
}

static void hub_remove(void *priv)
{
	struct hub *b = priv;

	usb_hub_remove(&b->hub);
	usb_listen_end(&b->changes);
	kfree(b);
}

USB_DRIVER(hub, .base = {.id = "usb-hub", .bus = "usb", .cls = DEVICE_BUS},
	   .class_code = USB_CLASS_HUB, .subclass = 0,
	   .protocol = USB_ANY, .probe = hub_probe, .remove = hub_remove);
