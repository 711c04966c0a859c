/* UNIT: devices/host/usb/usb_desc.c */
// SPDX-License-Identifier: Apache-2.0
/* USB descriptors: what a device is, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "devices/host/usb/usb_desc.h"
#include "kernel/lib/err.h"

/* A stick as QEMU has it at SuperSpeed: one interface, two endpoints with their companions. */
static const uint8_t stick[] = {
	9, 2, 44, 0, 1, 1, 0, 0xc0, 0,
	9, 4, 0, 0, 2, 8, 6, 0x50, 0,
	7, 5, 0x81, 2, 0, 4, 0, 6, 0x30, 15, 0, 0, 0,
	7, 5, 0x02, 2, 0, 4, 0, 6, 0x30, 200, 0, 0, 0,
};

static int take(const uint8_t *p, size_t len, struct usb_config *c)
{
	return usb_config_take(p, len, c);
}

static void test_a_stick(void **state)
{
	struct usb_config c;
	const struct usb_endpoint *in, *out;

	(void)state;
	assert_int_equal(usb_config_len(stick), sizeof(stick));
	assert_int_equal(take(stick, sizeof(stick), &c), 0);
	assert_int_equal(c.value, 1);
	assert_int_equal(c.iface_count, 1);
	assert_int_equal(c.iface[0].class_code, USB_CLASS_STORAGE);
	assert_int_equal(c.iface[0].subclass, 6);
	assert_int_equal(c.iface[0].protocol, 0x50);
	in = usb_ep_find(&c.iface[0], USB_EP_BULK, true);
	out = usb_ep_find(&c.iface[0], USB_EP_BULK, false);
	assert_int_equal(in->address, 0x81);
	assert_int_equal(in->packet, 1024);
	assert_int_equal(in->burst, 15);
	assert_int_equal(out->address, 2);
	assert_int_equal(out->burst, 15); /* no device may say 200 */
	assert_null(usb_ep_find(&c.iface[0], USB_EP_INTERRUPT, true));
}

/* Wherever it is cut, either what is left is whole descriptors or it is refused. */
static void test_cut_short(void **state)
{
	static const size_t whole[] = {9, 18, 25, 31, 38, 44};

	(void)state;
	for (size_t len = 0; len <= sizeof(stick); len++) {
		struct usb_config c;
		bool fits = false;

		for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
			fits |= whole[i] == len;
		assert_int_equal(take(stick, len, &c), fits ? 0 : -RAY_EPROTO);
	}
}

static void changed(size_t at, uint8_t v, int err)
{
	uint8_t p[sizeof(stick)];
	struct usb_config c;

	memcpy(p, stick, sizeof(p));
	p[at] = v;
	assert_int_equal(take(p, sizeof(p), &c), err);
}

static void test_what_cannot_be(void **state)
{
	(void)state;
	changed(1, 4, -RAY_EPROTO);     /* no configuration */
	changed(0, 8, -RAY_EPROTO);
	changed(2, 8, -RAY_EPROTO);     /* shorter than itself */
	changed(9, 0, -RAY_EPROTO);     /* a descriptor without length: no way on */
	changed(9, 8, -RAY_EPROTO);     /* an interface that is too short */
	changed(18, 6, -RAY_EPROTO);    /* an endpoint */
	changed(25, 5, -RAY_EPROTO);    /* a companion */
	changed(38, 7, -RAY_EPROTO);    /* over the end */
	changed(20, 0x80, -RAY_EPROTO); /* endpoint 0 */
	changed(21, 0, -RAY_EPROTO);    /* a control endpoint */
	changed(23, 5, -RAY_EPROTO);    /* packets of 1280 bytes */
	changed(33, 0x81, -RAY_EPROTO); /* the same one twice */
	changed(10, 0x21, 0);           /* something unknown, and endpoints of no interface */
}

static void test_alternates_and_too_many(void **state)
{
	uint8_t p[9 + 12 * 9 + 9 * 7] = {9, 2, 0, 0, 0, 3};
	size_t at = 9;
	struct usb_config c;

	(void)state;
	for (uint8_t i = 0; i < 12; i++, at += 9)
		memcpy(p + at, (uint8_t[]){9, 4, i, 0, 0, 3, 1, 1, 0}, 9);
	memcpy(p + 9 + 9, (uint8_t[]){9, 4, 0, 1, 0, 9, 0, 0, 0}, 9); /* alternate 1 of 0 */
	memcpy(p + 9 + 18, (uint8_t[]){9, 4, 2, 0, 0, 9, 0, 0, 0}, 9);
	for (uint8_t i = 1; i <= 9; i++, at += 7)
		memcpy(p + at, (uint8_t[]){7, 5, i, 2, 64, 0, 0}, 7);
	p[2] = (uint8_t)sizeof(p);
	assert_int_equal(take(p, sizeof(p), &c), 0);
	assert_int_equal(c.value, 3);
	assert_int_equal(c.iface_count, USB_IFACES_MAX);
	assert_int_equal(c.iface[0].class_code, 3);
	assert_int_equal(c.iface[1].class_code, 9);
	/* The endpoints belong to the twelfth interface, which is left out. */
	for (unsigned int i = 0; i < USB_IFACES_MAX; i++)
		assert_int_equal(c.iface[i].ep_count, 0);
	/* An interface that exists twice. */
	p[9 + 18 + 2] = 0;
	assert_int_equal(take(p, sizeof(p), &c), -RAY_EPROTO);
}

static void test_endpoints_beyond_what_is_kept(void **state)
{
	uint8_t p[18 + 6 * 7] = {9, 2, 60, 0, 1, 1, 0, 0, 0, 9, 4, 0, 0, 6, 8, 6, 0x50, 0};
	struct usb_config c;

	(void)state;
	for (uint8_t i = 0; i < 6; i++)
		memcpy(p + 18 + 7 * i, (uint8_t[]){7, 5, (uint8_t)(i + 1), 3, 8, 0, 10}, 7);
	p[18 + 4] = 0; /* takes no bytes */
	assert_int_equal(take(p, sizeof(p), &c), 0);
	assert_int_equal(c.iface[0].ep_count, USB_EPS_MAX);
	assert_int_equal(c.iface[0].ep[0].address, 2);
	assert_int_equal(c.iface[0].ep[3].address, 5);
	assert_int_equal(c.iface[0].ep[0].interval, 10);
}

static void test_device(void **state)
{
	uint8_t p[USB_DEVICE_LEN] = {18, 1, 0x10, 2, 9, 1, 2, 64, 0xf4, 0x46, 1, 0, 0x34, 0x12,
				     1, 2, 3, 1};
	struct usb_ident id;

	(void)state;
	assert_int_equal(usb_ident_take(p, &id), 0);
	assert_int_equal(id.version, 0x210);
	assert_int_equal(id.class_code, 9);
	assert_int_equal(id.packet0, 64);
	assert_int_equal(id.vendor, 0x46f4);
	assert_int_equal(id.product, 1);
	assert_int_equal(id.release, 0x1234);
	assert_int_equal(id.text_maker, 1);
	assert_int_equal(id.text_name, 2);
	assert_int_equal(id.text_serial, 3);
	p[1] = 2;
	assert_int_equal(usb_ident_take(p, &id), -RAY_EPROTO);
	p[1] = 1;
	p[0] = 17;
	assert_int_equal(usb_ident_take(p, &id), -RAY_EPROTO);
}

static void text(const void *p, size_t len, const char *want)
{
	char out[USB_TEXT_LEN];

	usb_text_take(p, len, out);
	assert_string_equal(out, want);
}

static void test_text(void **state)
{
	uint8_t lots[255] = {255, 3};

	(void)state;
	text((uint8_t[]){8, 3, 'a', 0, 'b', 0, ' ', 0}, 8, "ab");
	text((uint8_t[]){8, 3, 0xfc, 0, 27, 0, 'x', 1}, 8, "???");
	text((uint8_t[]){200, 3, 'a', 0, 'b', 0}, 6, "ab"); /* says more than came */
	text((uint8_t[]){7, 3, 'a', 0, 'b', 0, 'c', 0}, 8, "ab");
	text((uint8_t[]){8, 2, 'a', 0}, 4, "");
	text("", 0, "");
	for (size_t i = 2; i + 1 < sizeof(lots); i += 2)
		lots[i] = 'z';
	text(lots, sizeof(lots), "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stick),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_what_cannot_be),
		cmocka_unit_test(test_alternates_and_too_many),
		cmocka_unit_test(test_endpoints_beyond_what_is_kept),
		cmocka_unit_test(test_device),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
