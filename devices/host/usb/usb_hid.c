/* SPDX-License-Identifier: Apache-2.0 */
/*
 * USB keyboards, by the boot protocol (HID 1.11, appendix B.1): eight bytes, modifiers and the
 * keys that are down.
 */
#include <string.h>

#include "devices/host/usb/usb.h"
#include "kernel/input/keyboard.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/time/time.h"

#define SUBCLASS_BOOT     1u
#define PROTOCOL_KEYBOARD 1u
#define SET_IDLE          0x0au
#define SET_PROTOCOL      0x0bu
#define PROTOCOL_BOOT     0u
#define IDLE_MS           32u
#define IDLE_UNIT_MS      4u
#define REPEAT_AFTER_NS   500000000ull

#define REPORT_LEN  USB_REPORT_MAX
#define REPORT_KEYS 2u /* the first of six */
#define ROLL_OVER   3u /* and below: no keys but what went wrong */

struct keyboard {
	struct usb_listener reports;
	uint8_t last[REPORT_LEN];
	uint64_t since;       /* ns: the newest key is down */
	uint8_t newest;
};

static bool has(const uint8_t *report, uint8_t key)
{
	return memchr(report + REPORT_KEYS, key, REPORT_LEN - REPORT_KEYS) != NULL;
}

static void modifiers_take(struct keyboard *k, uint8_t now)
{
	uint8_t changed = now ^ k->last[0];

	for (unsigned int i = 0; i < 8; i++) {
		if (changed & BIT(i))
			keyboard_key((uint8_t)(KEY_LEFT_CTRL + i), (now & BIT(i)) != 0);
	}
}

/* The keyboard says every now and then what is down, even when nothing changes: the clock of the
 * repeats. */
static void repeat(const struct keyboard *k, const uint8_t *now)
{
	if (k->newest && has(now, k->newest) && time_now() - k->since >= REPEAT_AFTER_NS)
		keyboard_key(k->newest, true);
}

static void report_take(struct keyboard *k, const uint8_t *now)
{
	modifiers_take(k, now[0]);
	k->last[0] = now[0];
	if (now[REPORT_KEYS] > 0 && now[REPORT_KEYS] <= ROLL_OVER)
		return; /* more keys than it can tell apart */
	if (memcmp(k->last, now, REPORT_LEN) == 0)
		repeat(k, now);
	for (unsigned int i = REPORT_KEYS; i < REPORT_LEN; i++) {
		if (k->last[i] > ROLL_OVER && !has(now, k->last[i]))
			keyboard_key(k->last[i], false);
	}
	for (unsigned int i = REPORT_KEYS; i < REPORT_LEN; i++) {
		if (now[i] <= ROLL_OVER || has(k->last, now[i]))
			continue;
		keyboard_key(now[i], true);
		k->newest = now[i];
		k->since = time_now();
	}
	memcpy(k->last, now, REPORT_LEN);
}

static void report_heard(void *owner, const uint8_t *p, uint32_t len)
{
	if (len == REPORT_LEN)
		report_take(owner, p);
}

static int set(struct usb_dev *d, uint8_t iface, uint8_t request, uint16_t value)
{
	struct usb_setup s = {.type = USB_REQ_CLASS | USB_REQ_INTERFACE, .request = request,
			      .value = value, .index = iface};

	return usb_control(d, &s, NULL, NULL);
}

static int start(struct keyboard *k, struct usb_dev *d, const struct usb_interface *i,
		 const struct usb_endpoint *in)
{
	int err = set(d, i->number, SET_PROTOCOL, PROTOCOL_BOOT);

	/* Those that repeat nothing refuse that (HID 1.11, 7.2.4), and do not repeat then. */
	if (!err && set(d, i->number, SET_IDLE, (IDLE_MS / IDLE_UNIT_MS) << 8) == -RAY_ENODEV)
		err = -RAY_ENODEV;
	if (!err)
		err = usb_listen(&k->reports, d, in, report_heard, k);
	return err;
}

static int keyboard_probe(struct usb_dev *d, const struct usb_interface *i, void **priv)
{
	const struct usb_endpoint *in = usb_ep_find(i, USB_EP_INTERRUPT, true);
	struct keyboard *k;
	int err;

	if (!in || in->packet < REPORT_LEN)
		return -RAY_EPROTO;
	k = kzalloc(sizeof(*k), MEM_DRIVER);
	if (!k)
		return -RAY_ENOMEM;
	err = start(k, d, i, in);
	if (err) {
		kfree(k);
		return err;
	}
	*priv = k;
	return 0;
}

/* Its transfer has ended before. What was held is no longer. */
static void keyboard_remove(void *priv)
{
	struct keyboard *k = priv;

	report_take(k, (const uint8_t[REPORT_LEN]){0});
	usb_listen_end(&k->reports);
	kfree(k);
}

USB_DRIVER(keyboard, .base = {.id = "usb-keyboard", .bus = "usb", .cls = DEVICE_INPUT},
	   .class_code = USB_CLASS_HID,
	   .subclass = SUBCLASS_BOOT, .protocol = PROTOCOL_KEYBOARD, .probe = keyboard_probe,
	   .remove = keyboard_remove);
