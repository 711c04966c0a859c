/* UNIT: devices/host/usb/usb_desc.c devices/host/usb/usb_bot.c devices/host/scsi/scsi.c
 * kernel/lib/err.c
 */
/* PARSER: devices/host/usb/usb_desc.c devices/host/usb/usb_bot.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * What a USB device says: descriptors of any bytes, and a stick whose answers and errors are the
 * input. What is taken of a description keeps its promises, a command ends with a result that
 * is one, and memory is the stick's own. The input's first byte chooses between the two.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "devices/host/usb/usb_storage.h"
#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"
#include "tests/host/fuzz_input.h"

#define ADDR     0x1000u
#define COMMANDS 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct input in;
static struct usb_dev dev;
static struct bot_shared mem;
static unsigned int steps;

/* --- descriptions --- */

static void interface_check(const struct usb_interface *i, uint32_t *seen)
{
	if (i->ep_count > USB_EPS_MAX)
		abort();
	for (unsigned int n = 0; n < i->ep_count; n++) {
		const struct usb_endpoint *e = &i->ep[n];
		uint32_t bit = 1u << ((e->address & 0xfu) + (e->address & USB_EP_IN ? 16u : 0u));

		if ((e->address & 0xfu) == 0 || (e->address & 0x70u) || e->packet == 0 ||
		    e->packet > 1024 || e->kind == USB_EP_CONTROL || e->burst > 15 || (*seen & bit))
			abort();
		*seen |= bit;
	}
}

static void describe(const uint8_t *data, size_t size)
{
	uint8_t device[USB_DEVICE_LEN] = {0};
	char text[USB_TEXT_LEN];
	struct usb_ident id;
	struct usb_config c;
	uint32_t seen = 0;

	memcpy(device, data, size < sizeof(device) ? size : sizeof(device));
	(void)!usb_ident_take(device, &id);
	usb_text_take(data, size, text);
	for (const char *p = text; *p; p++) {
		if (*p < ' ' || *p > '~')
			abort();
	}
	if (strlen(text) >= sizeof(text))
		abort();
	if (size < USB_HEADER_LEN || usb_config_take(data, size, &c))
		return;
	if (c.iface_count > USB_IFACES_MAX)
		abort();
	for (unsigned int i = 0; i < c.iface_count; i++)
		interface_check(&c.iface[i], &seen);
}

/* --- a stick --- */

static int any_error(void)
{
	static const int errors[] = {0, 0, 0, -RAY_EPROTO, -RAY_EIO, -RAY_ETIMEDOUT, -RAY_ENODEV,
				     -RAY_ECANCELED};

	return errors[byte(&in) % 8];
}

/* The right answer to the command that stands in memory, but for what the input changes. */
static void status_answer(uint8_t *p)
{
	memset(p, 0, BOT_CSW_LEN);
	store32(p, 0x53425355u);
	store32(p + 4, load32(mem.cbw + 4));
	for (unsigned int k = byte(&in) % 4; k > 0; k--) {
		unsigned int at = byte(&in) % BOT_CSW_LEN;

		p[at] = byte(&in);
	}
}

int usb_wait(struct usb_xfer *x, unsigned int ms)
{
	int err = any_error();

	if (ms == 0 || x->seg_count != 1 || x->seg[0].addr.v < ADDR ||
	    x->seg[0].addr.v - ADDR > sizeof(mem) - x->len || x->seg[0].len != x->len ||
	    ++steps > 64 * COMMANDS)
		abort();
	x->got = 0;
	if (err)
		return err;
	x->got = byte(&in) & 1 ? word(&in) % (x->len + 1) : x->len;
	if ((x->ep & USB_EP_IN) && x->len == BOT_CSW_LEN)
		status_answer((uint8_t *)&mem + (x->seg[0].addr.v - ADDR));
	return 0;
}

int usb_control(struct usb_dev *d, const struct usb_setup *s, void *buf, uint32_t *got)
{
	int err = any_error();

	if (d != &dev || got)
		abort();
	if (!err && s->length)
		*(uint8_t *)buf = byte(&in);
	return err;
}

int usb_ep_reset(struct usb_dev *d, uint8_t ep)
{
	if (d != &dev || (ep != 0x81 && ep != 2))
		abort();
	return any_error();
}

static void command(struct stick *s)
{
	static const uint8_t cdb[10] = {SCSI_READ_10};
	uint32_t len = byte(&in) & 1 ? 512 : 0, got = 0;
	struct usb_seg seg = bot_piece(s, mem.data, len);
	struct bot_cmd c = {.cdb = cdb, .cdb_len = sizeof(cdb), .in = true, .seg = &seg,
			    .seg_count = len ? 1 : 0, .len = len};
	int err = bot_run(s, &c, &got);

	if (got > len || (err != 0 && err != 1 && err != -RAY_EAGAIN && err != -RAY_EIO &&
			  err != -RAY_ENODEV))
		abort();
	if (err == 1 && bot_sense(s, 0) > BOT_SENSE)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stick s = {.usb = &dev, .in = 0x81, .out = 2,
			  .mem = {.va = &mem, .addr = {ADDR}, .size = sizeof(mem)}};

	if (size == 0)
		return 0;
	if (data[0] & 1) {
		describe(data + 1, size - 1);
		return 0;
	}
	in = (struct input){.p = data + 1, .left = size - 1};
	steps = 0;
	if (bot_units(&s) > 16)
		abort();
	for (unsigned int i = 0; i < COMMANDS; i++)
		command(&s);
	return 0;
}
