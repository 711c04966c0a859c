/* UNIT: devices/host/xhci/xhci.c devices/host/xhci/xhci_cmd.c devices/host/xhci/xhci_event.c
 * devices/host/xhci/xhci_port.c devices/host/xhci/xhci_ring.c devices/host/xhci/xhci_slot.c
 * devices/host/xhci/xhci_xfer.c devices/host/usb/usb_xfer.c kernel/dma/dma.c kernel/lib/err.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * Transfers of the xHCI driver over a controller in memory that checks every block
 * (fake_xhci_ep.h): control, bulk and interrupt ones, short, stalled, taken back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/host/fake_xhci_bus.h"

static int control(struct usb_dev *d, uint8_t type, uint16_t len, uint8_t *buf, uint32_t *got)
{
	struct usb_setup s = {.type = type, .request = 7, .length = len};

	return usb_control(d, &s, buf, got);
}

static void test_control(void **state)
{
	struct usb_dev *d = &devs[0];
	uint8_t buf[USB_CONTROL_MAX];
	uint32_t got;

	(void)state;
	plug_in();
	device_in(d, 1, USB_SPEED_SUPER);
	for (unsigned int i = 0; i < sizeof(fake_usb.control); i++)
		fake_usb.control[i] = (uint8_t)(i * 3 + 1);
	for (unsigned int i = 0; i < 200; i++) { /* twice round the ring */
		uint16_t len = (uint16_t)(i * 20 + 1);

		assert_int_equal(control(d, USB_REQ_IN, len, buf, &got), 0);
		assert_int_equal(got, len);
		assert_memory_equal(buf, fake_usb.control, len);
		assert_int_equal(fake_usb.setup.request, 7);
		assert_int_equal(control(d, 0, 0, NULL, NULL), 0);
	}
	memset(buf, 0x5a, sizeof(buf));
	assert_int_equal(control(d, 0, 4096, buf, NULL), 0);
	assert_memory_equal(fake_usb.control, buf, 4096);
	fake_usb.gives = 5; /* a short answer, its status stage all the same */
	assert_int_equal(control(d, USB_REQ_IN, 18, buf, &got), 0);
	assert_int_equal(got, 5);
	assert_int_equal(control(d, USB_REQ_IN, 18, buf, NULL), -RAY_EPROTO);
	fake_usb.gives = 0;
	assert_int_equal(control(d, USB_REQ_IN, 18, buf, &got), 0);
	assert_int_equal(got, 0);
	/* It is the status that says how it ended. */
	fake_usb.fails[1] = XHCI_CC_STALL;
	fake_usb.fails_at = FAKE_AT_STATUS;
	assert_int_equal(control(d, USB_REQ_IN, 18, buf, &got), -RAY_EPROTO);
	fake_usb.fails_at = 0;
	fake_usb.gives = UINT32_MAX;
	for (uint16_t len = 0; len < 2; len++) { /* at its status stage, at its data */
		fake_usb.fails[1] = XHCI_CC_STALL;
		assert_int_equal(control(d, USB_REQ_IN, len, buf, NULL), -RAY_EPROTO);
		assert_int_equal(control(d, USB_REQ_IN, 8, buf, NULL), 0);
		fake_usb.fails[1] = 4; /* nothing sensible over the wire */
		assert_int_equal(control(d, 0, len, buf, NULL), -RAY_EIO);
		assert_int_equal(control(d, USB_REQ_IN, 8, buf, NULL), 0);
	}
	assert_int_equal(fake.commands[XHCI_RESET_ENDPOINT], 5);
	fake_usb.busy[1] = true;
	assert_int_equal(control(d, USB_REQ_IN, 8, buf, NULL), -RAY_ETIMEDOUT);
	assert_int_equal(fake.commands[XHCI_STOP_ENDPOINT], 1);
	fake_usb.busy[1] = false;
	assert_int_equal(control(d, USB_REQ_IN, 8, buf, NULL), 0);
}

/* Pieces at odd places, round the ring many times, across 64 KiB. */
static void test_bulk(void **state)
{
	struct usb_dev *d = &devs[0];
	uint32_t got;

	(void)state;
	plug_in();
	device_in(d, 1, USB_SPEED_SUPER);
	data_fill(7);
	for (unsigned int i = 0; i < 120; i++) {
		uint32_t len = 1 + i * 2311;
		unsigned int pieces = 1 + i % 11;

		memset(memory, 0, sizeof(memory));
		assert_int_equal(move(d, BULK_IN, i * 57, len, pieces, &got), 0);
		assert_int_equal(got, len);
		assert_memory_equal(memory + i * 57, fake_usb.data, len);
		assert_int_equal(memory[i * 57 + len], 0);
		memset(memory + i * 57, (int)i, len);
		assert_int_equal(move(d, BULK_OUT, i * 57, len, pieces, &got), 0);
		assert_memory_equal(fake_usb.data, memory + i * 57, len);
		data_fill(i);
	}
	assert_int_equal(move(d, BULK_OUT, 0, 0, 0, &got), 0); /* an empty packet */
	assert_int_equal(got, 0);
	/* As many pieces as fit, and one more. */
	assert_int_equal(move(d, BULK_IN, 0, 255, 255, &got), -RAY_ENOSPC);
	assert_int_equal(move(d, BULK_IN, 0, 254, 254, &got), 0);
	assert_int_equal(got, 254);
	assert_int_equal(move(d, BULK_IN | 4, 0, 1, 1, &got), -RAY_EIO); /* no such endpoint */
}

static void test_short(void **state)
{
	struct usb_dev *d = &devs[0];
	uint32_t got;

	(void)state;
	plug_in();
	device_in(d, 1, USB_SPEED_SUPER);
	data_fill(1);
	for (unsigned int twice = 0; twice < 2; twice++) {
		fake_usb.two_events = twice;
		for (uint32_t gives = 0; gives <= 40; gives++) {
			fake_usb.gives = gives;
			assert_int_equal(move(d, BULK_IN, 3, 40, 8, &got), 0);
			assert_int_equal(got, gives);
			assert_memory_equal(memory + 3, fake_usb.data, gives);
		}
	}
}

static void test_stall(void **state)
{
	struct usb_dev *d = &devs[0];
	uint32_t got;

	(void)state;
	plug_in();
	device_in(d, 1, USB_SPEED_SUPER);
	for (unsigned int at = 0; at < 4; at++) {
		unsigned int resets = fake.commands[XHCI_RESET_ENDPOINT];

		fake_usb.fails[xhci_dci(BULK_IN)] = XHCI_CC_STALL;
		fake_usb.fails_at = at;
		assert_int_equal(move(d, BULK_IN, 0, 400, 4, &got), -RAY_EPROTO);
		assert_int_equal(got, at * 100);
		assert_int_equal(move(d, BULK_IN, 0, 400, 4, &got), -RAY_EIO);
		assert_int_equal(usb_ep_reset(d, BULK_IN), 0);
		assert_int_equal(fake_usb.setup.request, USB_CLEAR_FEATURE);
		assert_int_equal(fake_usb.setup.index, BULK_IN);
		assert_int_equal(fake.commands[XHCI_RESET_ENDPOINT], resets + 1);
		assert_int_equal(fake.commands[XHCI_SET_DEQUEUE], resets + 1);
		assert_int_equal(move(d, BULK_IN, 0, 400, 4, &got), 0);
	}
	/* Other errors than that. */
	for (uint8_t code = 2; code < 12; code++) {
		fake_usb.fails[xhci_dci(BULK_OUT)] = code;
		assert_int_equal(move(d, BULK_OUT, 0, 10, 1, &got),
				 code == XHCI_CC_STALL ? -RAY_EPROTO : -RAY_EIO);
		assert_int_equal(usb_ep_reset(d, BULK_OUT), 0);
	}
	assert_int_equal(move(d, BULK_OUT, 0, 10, 1, &got), 0);
	/* Not halted, nothing under way: no harm. */
	assert_int_equal(usb_ep_reset(d, BULK_OUT), 0);
}

static void halt_now(void)
{
	if (!fake.command_rung)
		return;
	look = NULL;
	fake_ep_state(1, xhci_dci(BULK_IN), FAKE_EP_HALTED);
}

static void test_taken_back(void **state)
{
	struct usb_dev *d = &devs[0];
	uint32_t got;

	(void)state;
	plug_in();
	device_in(d, 1, USB_SPEED_SUPER);
	for (unsigned int i = 0; i < 3; i++) {
		fake_usb.busy[xhci_dci(BULK_IN)] = true;
		assert_int_equal(move(d, BULK_IN, 0, 4096, 4, &got), -RAY_ETIMEDOUT);
		fake_usb.busy[xhci_dci(BULK_IN)] = false;
		assert_int_equal(move(d, BULK_IN, 0, 4096, 4, &got), 0);
	}
	/* It halts in the moment in which it is to be stopped (4.6.9). */
	look = halt_now;
	assert_int_equal(usb_ep_reset(d, BULK_IN), 0);
	assert_null(look);
	assert_int_equal(fake.commands[XHCI_STOP_ENDPOINT], 4);
	assert_int_equal(fake.commands[XHCI_RESET_ENDPOINT], 1);
	assert_int_equal(move(d, BULK_IN, 0, 4096, 4, &got), 0);
	/* It does not go where it is sent: an error, and one more try mends it. */
	fake.answer[XHCI_SET_DEQUEUE] = 17;
	assert_int_equal(usb_ep_reset(d, BULK_IN), -RAY_EIO);
	fake.answer[XHCI_SET_DEQUEUE] = 0;
	assert_int_equal(usb_ep_reset(d, BULK_IN), 0);
	assert_int_equal(move(d, BULK_IN, 0, 4096, 4, &got), 0);
	assert_int_equal(troubles, 0);
	/* It does not stop at all. */
	fake.answer[XHCI_STOP_ENDPOINT] = 5;
	assert_int_equal(usb_ep_reset(d, BULK_IN), -RAY_EIO);
	assert_int_equal(troubles, 1);
}

static unsigned int reports, report_len;

static void heard(void *owner, const uint8_t *p, uint32_t len)
{
	assert_ptr_equal(owner, &reports);
	assert_memory_equal(p, fake_usb.data, len);
	reports++;
	report_len = len;
}

static void test_interrupt_endpoint(void **state)
{
	const struct usb_endpoint *in = &devs[0].config.iface[0].ep[2];
	uint8_t dci = xhci_dci(INTERRUPT_IN);
	struct usb_dev *d = &devs[0];
	struct usb_listener l;

	(void)state;
	plug_in();
	device_in(d, 1, USB_SPEED_HIGH);
	data_fill(9);
	fake_usb.busy[dci] = true;
	assert_int_equal(usb_listen(&l, d, in, heard, &reports), 0);
	reports = 0;
	for (unsigned int i = 1; i <= 600; i++) { /* round its ring, more than twice */
		fake_usb.gives = i % 10;
		fake_usb.busy[dci] = false;
		while (reports < i)
			thread_yield();
		assert_int_equal(report_len, MIN(i % 10, USB_REPORT_MAX));
	}
	assert_int_equal(reports, fake_usb.tds[dci]);
	fake_usb.busy[dci] = true;
	turns_pass(3);
	device_out(d);
	usb_listen_end(&l);
}

/* An error is the end of it; so is a device that goes; what does not begin leaves nothing. */
static void test_listening_ends(void **state)
{
	const struct usb_endpoint *in = &devs[0].config.iface[0].ep[2];
	uint8_t dci = xhci_dci(INTERRUPT_IN);
	struct usb_dev *d = &devs[0];
	struct usb_listener l;
	int pages;

	(void)state;
	plug_in();
	device_in(d, 1, USB_SPEED_HIGH);
	pages = fake_pages_live;
	fake_heap_fail_at = 1;
	assert_int_equal(usb_listen(&l, d, in, heard, &reports), -RAY_ENOMEM);
	fake_usb.fails[dci] = 4;
	assert_int_equal(usb_listen(&l, d, in, heard, &reports), 0);
	reports = 0;
	turns_pass(10);
	assert_int_equal(reports, 0);
	usb_listen_end(&l);
	assert_int_equal(usb_listen(&l, d, in, heard, &reports), -RAY_EIO); /* halted */
	assert_int_equal(fake_pages_live, pages);
	d->gone = true;
	assert_int_equal(usb_listen(&l, d, in, heard, &reports), -RAY_ENODEV);
	assert_int_equal(usb_ep_reset(d, INTERRUPT_IN), -RAY_ENODEV);
	assert_int_equal(fake_pages_live, pages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_control, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bulk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stall, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupt_endpoint, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listening_ends, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
