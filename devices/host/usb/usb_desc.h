/* SPDX-License-Identifier: Apache-2.0 */
/*
 * USB descriptors (USB 2.0, chapter 9; USB 3.2, 9.6): what a device says it is.
 * Pure: any context. Trust: every byte is the device's; what does not fit is refused, what is
 * unknown is skipped.
 */
#ifndef RAYOS_DEVICES_HOST_USB_USB_DESC_H
#define RAYOS_DEVICES_HOST_USB_USB_DESC_H

#include "kernel/lib/types.h"

#define USB_IFACES_MAX  8u
#define USB_EPS_MAX     4u    /* of an interface; further ones are left out */
#define USB_DEVICE_LEN  18u
#define USB_HEADER_LEN  9u    /* of a configuration: its total length is in there */
#define USB_TEXT_LEN    48u

enum usb_desc_type {
	USB_DESC_DEVICE = 1,
	USB_DESC_CONFIG = 2,
	USB_DESC_STRING = 3,
	USB_DESC_INTERFACE = 4,
	USB_DESC_ENDPOINT = 5,
	USB_DESC_HUB = 0x29,
	USB_DESC_SUPER_HUB = 0x2a,
	USB_DESC_COMPANION = 0x30, /* of an endpoint at SuperSpeed (USB 3.2, 9.6.7) */
};

/* Of bmAttributes. */
enum usb_ep_kind { USB_EP_CONTROL, USB_EP_ISOCHRONOUS, USB_EP_BULK, USB_EP_INTERRUPT };

#define USB_EP_IN 0x80u

enum usb_class { USB_CLASS_HID = 3, USB_CLASS_STORAGE = 8, USB_CLASS_HUB = 9 };

struct usb_endpoint {
	uint8_t address; /* 1 to 15, with USB_EP_IN */
	uint8_t kind;    /* enum usb_ep_kind; not control */
	uint8_t interval;
	uint8_t burst;   /* packets beside the first, SuperSpeed */
	uint16_t packet; /* bytes, 1 to 1024 */
};

/* An interface as it comes up: its alternate setting 0. */
struct usb_interface {
	uint8_t number, class_code, subclass, protocol;
	uint8_t ep_count;
	struct usb_endpoint ep[USB_EPS_MAX];
};

struct usb_config {
	uint8_t value; /* what SET_CONFIGURATION takes */
	uint8_t iface_count;
	struct usb_interface iface[USB_IFACES_MAX];
};

struct usb_ident {
	uint16_t version; /* BCD: 0x0210 */
	uint8_t class_code, subclass, protocol;
	uint8_t packet0;  /* as it stands there: a power of two for SuperSpeed */
	uint16_t vendor, product, release;
	uint8_t text_maker, text_name, text_serial; /* numbers of strings; 0: none */
};

/** @p  USB_DEVICE_LEN bytes. 0; -RAY_EPROTO: no device descriptor. */
int __must_check usb_ident_take(const uint8_t *p, struct usb_ident *out);
/** The total length in a configuration's first USB_HEADER_LEN bytes; 0: it makes no sense. */
uint16_t usb_config_len(const uint8_t *p);
/**
 * A configuration with all that belongs to it.
 * Returns: 0; -RAY_EPROTO: a descriptor is too short or runs over the end, an endpoint exists
 * twice or cannot exist
 */
int __must_check usb_config_take(const uint8_t *p, size_t len, struct usb_config *out);
/** A string descriptor, UTF-16, as text that prints: what is not ASCII becomes '?'. */
void usb_text_take(const uint8_t *p, size_t len, char out[USB_TEXT_LEN]);
/** The endpoint of that kind and direction; NULL: the interface has none. */
const struct usb_endpoint *usb_ep_find(const struct usb_interface *i, enum usb_ep_kind kind,
				       bool in);

#endif
