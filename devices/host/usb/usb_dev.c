/* SPDX-License-Identifier: Apache-2.0 */
/* USB: a device's life, from its reset port to the drivers of its interfaces. */
#include <string.h>

#include "devices/host/usb/usb.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/unaligned.h"
#define LOG_TAG "usb"
#include "kernel/log.h"
#include "kernel/mm/heap.h"

#define STRING_LEN   255u
#define ROUTE_BITS   4u
#define ROUTE_MAX    15u /* a port beyond stands in the route as this one (USB 3.2, 8.9) */
#define SUPER_PACKET 9u  /* 2 to the power of it: the only one there is (USB 3.2, 9.6.1) */

extern const struct usb_driver *const __start_rayos_usb_drivers[];
extern const struct usb_driver *const __stop_rayos_usb_drivers[];

/* --- descriptors --- */

static int desc_get(struct usb_dev *d, enum usb_desc_type type, void *buf, uint16_t len,
		    uint32_t *got)
{
	struct usb_setup s = {.type = USB_REQ_IN, .request = USB_GET_DESCRIPTOR,
			      .value = (uint16_t)((unsigned int)type << 8), .length = len};

	return usb_control(d, &s, buf, got);
}

/* @index  0: which languages there are */
static uint32_t string_get(struct usb_dev *d, uint8_t index, uint16_t lang, uint8_t *p)
{
	struct usb_setup s = {.type = USB_REQ_IN, .request = USB_GET_DESCRIPTOR,
			      .value = (uint16_t)(USB_DESC_STRING << 8 | index), .index = lang,
			      .length = STRING_LEN};
	uint32_t got = 0;

	return usb_control(d, &s, p, &got) ? 0 : got;
}

/* The first 8 bytes fit into any packet; they say how long the others may be. */
static int packet0_learn(struct usb_dev *d)
{
	uint8_t head[8];
	uint16_t bytes;
	int err = desc_get(d, USB_DESC_DEVICE, head, sizeof(head), NULL);

	if (err)
		return err;
	bytes = head[7];
	switch (d->speed) {
	case USB_SPEED_FULL:
		if (bytes != 8 && bytes != 16 && bytes != 32 && bytes != 64)
			return -RAY_EPROTO;
		return bytes == 8 ? 0 : d->bus->ops->packet0(d, bytes);
	case USB_SPEED_LOW:
		return bytes == 8 ? 0 : -RAY_EPROTO;
	case USB_SPEED_HIGH:
		return bytes == 64 ? 0 : -RAY_EPROTO;
	default:
		return bytes == SUPER_PACKET ? 0 : -RAY_EPROTO;
	}
}

static int ident_learn(struct usb_dev *d)
{
	uint8_t p[USB_DEVICE_LEN];
	int err = desc_get(d, USB_DESC_DEVICE, p, sizeof(p), NULL);

	return err ? err : usb_ident_take(p, &d->ident);
}

static int config_learn(struct usb_dev *d)
{
	uint8_t head[USB_HEADER_LEN], *all;
	uint16_t len;
	uint32_t got = 0;
	int err = desc_get(d, USB_DESC_CONFIG, head, sizeof(head), NULL);

	if (err)
		return err;
	len = usb_config_len(head);
	if (len == 0 || len > USB_CONTROL_MAX)
		return -RAY_EPROTO;
	all = kzalloc(len, MEM_DRIVER);
	if (!all)
		return -RAY_ENOMEM;
	err = desc_get(d, USB_DESC_CONFIG, all, len, &got);
	if (!err)
		err = usb_config_take(all, got, &d->config);
	kfree(all);
	return err;
}

static void text_learn(struct usb_dev *d, uint8_t index, uint16_t lang, char out[USB_TEXT_LEN])
{
	uint8_t p[STRING_LEN];

	if (index != 0)
		usb_text_take(p, string_get(d, index, lang, p), out);
}

/* In the first language it has; text is for people alone: none is no error. */
static void texts_learn(struct usb_dev *d)
{
	uint8_t langs[STRING_LEN];
	uint16_t lang;

	if (string_get(d, 0, 0, langs) < 4)
		return;
	lang = load16(langs + 2);
	text_learn(d, d->ident.text_maker, lang, d->maker);
	text_learn(d, d->ident.text_name, lang, d->name);
	text_learn(d, d->ident.text_serial, lang, d->serial);
}

/* --- bringing it up --- */

static int configure(struct usb_dev *d)
{
	struct usb_setup s = {.request = USB_SET_CONFIGURATION, .value = d->config.value};
	int err = d->bus->ops->configure(d);

	return err ? err : usb_control(d, &s, NULL, NULL);
}

static int learn(struct usb_dev *d)
{
	int err = packet0_learn(d);

	if (!err)
		err = ident_learn(d);
	if (!err)
		err = config_learn(d);
	if (!err) {
		texts_learn(d);
		err = configure(d);
	}
	return err;
}

static bool matches(const struct usb_driver *drv, const struct usb_interface *i)
{
	return drv->class_code == i->class_code &&
	       (drv->subclass == USB_ANY || drv->subclass == i->subclass) &&
	       (drv->protocol == USB_ANY || drv->protocol == i->protocol);
}

static void bind(struct usb_dev *d, unsigned int n)
{
	const struct usb_interface *i = &d->config.iface[n];
	struct usb_binding *b = &d->bound[n];

	for (const struct usb_driver *const *p = __start_rayos_usb_drivers;
	     p < __stop_rayos_usb_drivers; p++) {
		int err;

		if (!matches(*p, i))
			continue;
		err = (*p)->probe(d, i, &b->priv);
		if (!err) {
			b->driver = *p;
			d->dev.cls = (*p)->base.cls;
			device_driver_set(&d->dev, &(*p)->base);
		} else if (err != -RAY_ENODEV) {
			log_warn("%s refused a device: %s name=\"%s\" id=%04x:%04x", (*p)->base.id,
				 ray_strerror(err), d->name, d->ident.vendor, d->ident.product);
		}
		return;
	}
}

static void place(struct usb_dev *d, const struct usb_hub *h, uint8_t port)
{
	const struct usb_dev *up = h->dev;

	d->bus = h->bus;
	d->port = port;
	d->root_port = up ? up->root_port : port;
	if (!up)
		return;
	d->depth = (uint8_t)(up->depth + 1u);
	d->route = up->route | MIN((uint32_t)port, ROUTE_MAX) << (ROUTE_BITS * up->depth);
	if (d->speed != USB_SPEED_FULL && d->speed != USB_SPEED_LOW)
		return;
	d->tt = up->speed == USB_SPEED_HIGH ? h->dev : up->tt;
	d->tt_port = up->speed == USB_SPEED_HIGH ? port : up->tt_port;
}

static int begin(struct usb_dev *d)
{
	int err = dma_alloc(d->bus->pci, USB_CONTROL_MAX, d->bus->dma_max, &d->data);

	if (err)
		return err;
	err = d->bus->ops->attach(d);
	if (err) {
		dma_free(d->bus->pci, &d->data);
		return err;
	}
	err = learn(d);
	if (!err)
		return 0;
	d->bus->ops->detach(d);
	dma_free(d->bus->pci, &d->data);
	return err;
}

void usb_place(const struct usb_dev *d, char out[DEVICE_NAME_LEN])
{
	size_t n = (size_t)ray_snprintf(out, DEVICE_NAME_LEN, "%u-%u", d->bus->number, d->root_port);

	for (unsigned int i = 0; i < d->depth && n < DEVICE_NAME_LEN; i++)
		n += (size_t)ray_snprintf(out + n, DEVICE_NAME_LEN - n, ".%u",
					  (unsigned int)(d->route >> (ROUTE_BITS * i) & ROUTE_MAX));
}

static void attrs(const struct device *dev, struct device_attrs *a)
{
	const struct usb_dev *d = container_of(dev, struct usb_dev, dev);

	device_attr_hex(a, "vendor", d->ident.vendor);
	device_attr_hex(a, "product", d->ident.product);
	device_attr_hex(a, "usb", d->ident.version);
	device_attr_str(a, "maker", d->maker);
	device_attr_str(a, "name", d->name);
	device_attr_str(a, "serial", d->serial);
	device_attr_u64(a, "interfaces", d->config.iface_count);
}

/* Before its drivers, so that what they find hangs on it. */
static void enter(struct usb_dev *d)
{
	d->dev.cls = DEVICE_OTHER;
	d->dev.attrs = attrs;
	usb_place(d, d->dev.name);
	device_add(&d->dev, d->hub->dev ? &d->hub->dev->dev : &d->bus->dev);
}

struct usb_dev *usb_dev_create(struct usb_hub *h, uint8_t port, enum usb_speed speed, int *err)
{
	struct usb_dev *d = kzalloc(sizeof(*d), MEM_DRIVER);

	*err = -RAY_ENOMEM;
	if (!d)
		return NULL;
	d->hub = h;
	d->speed = speed;
	mutex_init(&d->control, LOCK_ORDER_NONE);
	place(d, h, port);
	*err = d->depth > USB_DEPTH_MAX ? -RAY_ERANGE : begin(d);
	if (*err) {
		kfree(d);
		return NULL;
	}
	log_info("device: %s %s id=%04x:%04x bus=%u port=%u", d->maker, d->name, d->ident.vendor,
		 d->ident.product, d->bus->number, port);
	enter(d);
	for (unsigned int i = 0; i < d->config.iface_count; i++)
		bind(d, i);
	return d;
}

void usb_dev_remove(struct usb_dev *d)
{
	__atomic_store_n(&d->gone, true, __ATOMIC_SEQ_CST);
	d->bus->ops->detach(d);
	for (unsigned int i = 0; i < d->config.iface_count; i++) {
		if (d->bound[i].driver)
			d->bound[i].driver->remove(d->bound[i].priv);
	}
	device_remove(&d->dev);
	dma_free(d->bus->pci, &d->data);
	kfree(d);
}
