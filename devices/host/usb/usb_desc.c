/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/host/usb/usb_desc.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"

#define EP_NUMBER_MASK 0x0fu
#define PACKET_MASK    0x07ffu /* above it: transactions per microframe, isochronous and interrupt */
#define PACKET_MAX     1024u
#define BURST_MAX      15u

/* Lengths of the descriptors whose fields are read. */
#define INTERFACE_LEN 9u
#define ENDPOINT_LEN  7u
#define COMPANION_LEN 6u

int usb_ident_take(const uint8_t *p, struct usb_ident *out)
{
	if (p[0] < USB_DEVICE_LEN || p[1] != USB_DESC_DEVICE)
		return -RAY_EPROTO;
	*out = (struct usb_ident){
		.version = load16(p + 2),
		.class_code = p[4],
		.subclass = p[5],
		.protocol = p[6],
		.packet0 = p[7],
		.vendor = load16(p + 8),
		.product = load16(p + 10),
		.release = load16(p + 12),
		.text_maker = p[14],
		.text_name = p[15],
		.text_serial = p[16],
	};
	return 0;
}

uint16_t usb_config_len(const uint8_t *p)
{
	uint16_t len = load16(p + 2);

	return p[0] >= USB_HEADER_LEN && p[1] == USB_DESC_CONFIG && len >= USB_HEADER_LEN ? len : 0;
}

/* Where the walk over a configuration is. */
struct walk {
	struct usb_config *config;
	struct usb_interface *iface; /* NULL: what follows belongs to none that is kept */
	struct usb_endpoint *ep;     /* the same */
	uint32_t seen;               /* endpoints: bit of their number, IN those from 16 on */
};

static int interface_take(struct walk *w, const uint8_t *p)
{
	struct usb_config *c = w->config;

	w->iface = NULL;
	w->ep = NULL;
	if (p[0] < INTERFACE_LEN)
		return -RAY_EPROTO;
	if (p[3] != 0 || c->iface_count == USB_IFACES_MAX)
		return 0;
	for (unsigned int i = 0; i < c->iface_count; i++) {
		if (c->iface[i].number == p[2])
			return -RAY_EPROTO;
	}
	w->iface = &c->iface[c->iface_count++];
	*w->iface = (struct usb_interface){
		.number = p[2], .class_code = p[5], .subclass = p[6], .protocol = p[7]};
	return 0;
}

static int endpoint_take(struct walk *w, const uint8_t *p)
{
	uint8_t number, kind;
	uint16_t packet;
	uint32_t bit;

	w->ep = NULL;
	if (p[0] < ENDPOINT_LEN)
		return -RAY_EPROTO;
	if (!w->iface)
		return 0;
	number = p[2] & EP_NUMBER_MASK;
	kind = p[3] & 3u;
	packet = load16(p + 4) & PACKET_MASK;
	bit = 1u << (number + (p[2] & USB_EP_IN ? 16u : 0u));
	if (number == 0 || kind == USB_EP_CONTROL || packet > PACKET_MAX || (w->seen & bit))
		return -RAY_EPROTO;
	w->seen |= bit;
	/* No bytes at all: an isochronous one that sleeps in its alternate setting 0. */
	if (packet == 0 || w->iface->ep_count == USB_EPS_MAX)
		return 0;
	w->ep = &w->iface->ep[w->iface->ep_count++];
	*w->ep = (struct usb_endpoint){.address = p[2] & (USB_EP_IN | EP_NUMBER_MASK),
				       .kind = kind, .interval = p[6], .packet = packet};
	return 0;
}

static int companion_take(const struct walk *w, const uint8_t *p)
{
	if (p[0] < COMPANION_LEN)
		return -RAY_EPROTO;
	if (w->ep)
		w->ep->burst = (uint8_t)MIN(p[2], BURST_MAX);
	return 0;
}

static int one_take(struct walk *w, const uint8_t *p)
{
	switch (p[1]) {
	case USB_DESC_INTERFACE:
		return interface_take(w, p);
	case USB_DESC_ENDPOINT:
		return endpoint_take(w, p);
	case USB_DESC_COMPANION:
		return companion_take(w, p);
	default:
		return 0;
	}
}

int usb_config_take(const uint8_t *p, size_t len, struct usb_config *out)
{
	struct walk w = {.config = out};
	size_t at;

	*out = (struct usb_config){.value = 0};
	if (len < USB_HEADER_LEN || usb_config_len(p) == 0 || p[0] > len)
		return -RAY_EPROTO;
	out->value = p[5];
	for (at = p[0]; at < len; at += p[at]) {
		int err;

		if (len - at < 2 || p[at] < 2 || p[at] > len - at)
			return -RAY_EPROTO;
		err = one_take(&w, p + at);
		if (err)
			return err;
	}
	return 0;
}

void usb_text_take(const uint8_t *p, size_t len, char out[USB_TEXT_LEN])
{
	size_t end = len >= 2 && p[1] == USB_DESC_STRING ? MIN(len, (size_t)p[0]) : 0;
	size_t n = 0;

	for (size_t at = 2; at + 1 < end && n < USB_TEXT_LEN - 1; at += 2) {
		uint16_t c = load16(p + at);

		out[n++] = c >= ' ' && c <= '~' ? (char)c : '?';
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

const struct usb_endpoint *usb_ep_find(const struct usb_interface *i, enum usb_ep_kind kind,
				       bool in)
{
	for (unsigned int n = 0; n < i->ep_count; n++) {
		if (i->ep[n].kind == kind && ((i->ep[n].address & USB_EP_IN) != 0) == in)
			return &i->ep[n];
	}
	return NULL;
}
