/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands above the xHCI driver in its tests: a bus that only notes what it is told, and
 * devices as the USB core would have them. The controller below is fake_xhci.h's.
 * Included by one .c of a test.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_XHCI_BUS_H
#define RAYOS_TESTS_HOST_FAKE_XHCI_BUS_H

#include "tests/host/fake_xhci_ep.h"

#define BULK_IN      0x81u
#define BULK_OUT     0x02u
#define INTERRUPT_IN 0x83u
#define WAIT_MS      200u

static struct thread *controller;
static void (*look)(void); /* before each of the controller's turns */

static struct usb_bus *bus; /* that the driver has added */
static bool bus_fails;
static void (*bus_hook)(void); /* called while it is added */
static unsigned int troubles, wakes;
static struct usb_dev devs[2];
static uint8_t memory[MIB(1)] __attribute__((aligned(4096))); /* of transfers */

int usb_bus_add(struct usb_bus *b)
{
	if (bus_fails)
		return -RAY_ENOMEM;
	bus = b;
	if (bus_hook)
		bus_hook();
	return 0;
}

void usb_bus_remove(struct usb_bus *b)
{
	assert(b == bus);
	bus = NULL;
}

void usb_bus_trouble(struct usb_bus *b)
{
	assert(b == bus && fake_lock_count == 0);
	troubles++;
}

void usb_hub_wake(struct usb_hub *h)
{
	assert(h == &bus->root && fake_lock_count == 0);
	wakes++;
}

/* --- devices --- */

static const struct usb_interface fake_interface = {
	.ep_count = 4,
	.ep = {{.address = BULK_IN, .kind = USB_EP_BULK, .packet = 1024, .burst = 3},
	       {.address = BULK_OUT, .kind = USB_EP_BULK, .packet = 512},
	       {.address = INTERRUPT_IN, .kind = USB_EP_INTERRUPT, .packet = 64, .interval = 4},
	       {.address = 4, .kind = USB_EP_ISOCHRONOUS, .packet = 512}},
};

/* Plugged into a root port, without a slot. */
static void device_make(struct usb_dev *d, uint8_t port, enum usb_speed speed)
{
	int err;

	memset(d, 0, sizeof(*d));
	d->bus = bus;
	d->port = d->root_port = port;
	d->speed = speed;
	d->config.iface_count = 1;
	d->config.iface[0] = fake_interface;
	mutex_init(&d->control, LOCK_ORDER_NONE);
	err = dma_alloc(&fake_pci, USB_CONTROL_MAX, bus->dma_max, &d->data);
	assert(!err);
	fake_plug(port, speed);
	err = bus->root.ops->reset(&bus->root, port);
	assert(!err || !fake.strict);
}

/* It is there again: reset, with all its endpoints. */
static int device_again(struct usb_dev *d)
{
	int err = bus->root.ops->reset(&bus->root, d->root_port);

	d->gone = false;
	if (!err)
		err = bus->ops->attach(d);
	if (!err)
		err = bus->ops->configure(d);
	assert(!err || !fake.strict);
	return err;
}

static __unused void device_in(struct usb_dev *d, uint8_t port, enum usb_speed speed)
{
	device_make(d, port, speed);
	(void)device_again(d);
}

static void device_out(struct usb_dev *d)
{
	bus->ops->detach(d);
	assert(!d->hc);
	dma_free(&fake_pci, &d->data);
}

static __unused void data_fill(unsigned int how)
{
	for (unsigned int i = 0; i < sizeof(fake_usb.data); i++)
		fake_usb.data[i] = (uint8_t)(i * 7 + i / 251 + how);
}

/* Of @len bytes of memory from @off on, in so many pieces. */
static __unused int move(struct usb_dev *d, uint8_t ep, uint32_t off, uint32_t len,
			 unsigned int pieces, uint32_t *got)
{
	static struct usb_seg seg[256];
	struct usb_xfer x = {.dev = d, .ep = ep, .seg = seg, .seg_count = pieces, .len = len};
	uint32_t each = pieces ? len / pieces : 0;
	int err;

	if (each == 0 && len > 0) {
		x.seg_count = pieces = 1;
		each = len;
	}
	for (unsigned int i = 0; i < pieces; i++)
		seg[i] = (struct usb_seg){{(uintptr_t)memory + off + i * each},
					  i + 1 == pieces ? len - i * each : each};
	err = usb_wait(&x, WAIT_MS);
	*got = x.got;
	return err;
}

/* --- a test's beginning and end --- */

static void turns_pass(unsigned int n)
{
	while (n-- > 0)
		thread_yield();
}

static __unused void plug_in(void)
{
	int err = fake_driver()->probe(&fake_pci);

	assert(!err && bus);
}

static void pull_out(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(devs); i++) {
		if (devs[i].data.size)
			device_out(&devs[i]);
	}
	fake_driver()->remove(&fake_pci);
	assert(!bus && fake_heap_live == 0 && fake_pages_live == 0);
}

static void look_now(void)
{
	if (look)
		look();
}

static int setup(void **state)
{
	(void)state;
	look = NULL;
	bus_fails = false;
	bus_hook = NULL;
	troubles = wakes = 0;
	controller = fake_xhci_begin(look_now);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	look = NULL;
	if (bus)
		pull_out();
	fake_xhci_end(controller);
	assert(fake_heap_live == 0 && fake_pages_live == 0);
	return 0;
}

#endif
