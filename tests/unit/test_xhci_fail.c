/* UNIT: devices/host/xhci/xhci.c devices/host/xhci/xhci_cmd.c devices/host/xhci/xhci_event.c
 * devices/host/xhci/xhci_port.c devices/host/xhci/xhci_ring.c devices/host/xhci/xhci_slot.c
 * devices/host/xhci/xhci_xfer.c devices/host/usb/usb_xfer.c kernel/dma/dma.c kernel/lib/err.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * The xHCI driver over a controller that fails: it answers no command, says that it has failed, was
 * pulled. What was under way ends, its bus is told once, and it is begun with anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/host/fake_xhci_bus.h"

static int ended; /* 1: not yet */

static void done(struct usb_xfer *x, int err)
{
	assert_int_equal(ended, 1);
	assert_int_equal(fake_lock_count, 0);
	assert_true(x->got <= x->len);
	ended = err;
}

/* A transfer that does not end by itself. */
static void begin(struct usb_dev *d)
{
	static struct usb_seg seg;
	static struct usb_xfer x;

	seg = (struct usb_seg){{(uintptr_t)memory}, 64};
	x = (struct usb_xfer){.dev = d, .ep = BULK_IN, .seg = &seg, .seg_count = 1, .len = 64,
			      .done = done};
	fake_usb.busy[xhci_dci(BULK_IN)] = true;
	ended = 1;
	assert_int_equal(usb_submit(&x), 0);
}

static void test_detached_at_work(void **state)
{
	struct usb_dev *d = &devs[0];
	uint32_t got;

	(void)state;
	plug_in();
	device_in(d, 1, USB_SPEED_SUPER);
	begin(d);
	bus->ops->detach(d);
	assert_int_equal(ended, -RAY_ENODEV);
	assert_int_equal(move(d, BULK_IN, 0, 1, 1, &got), -RAY_ENODEV);
	assert_int_equal(bus->ops->ep_reset(d, BULK_IN), -RAY_ENODEV);
	assert_int_equal(troubles, 0);
}

/* It is given nothing any more, reaches no memory, and its bus has been told once. */
static void failed(struct usb_dev *d, unsigned int times)
{
	uint32_t got;

	assert_int_equal(troubles, times);
	assert_int_equal(ended, -RAY_EIO);
	assert_false(fake_master);
	assert_int_equal(move(d, BULK_IN, 0, 1, 1, &got), -RAY_EIO);
}

/* As the bus's thread does it. */
static void mended(struct usb_dev *d)
{
	uint32_t got;

	d->gone = true;
	bus->ops->detach(d);
	assert_int_equal(bus->ops->restart(bus), 0);
	memset(fake_usb.busy, 0, sizeof(fake_usb.busy));
	device_again(d);
	assert_int_equal(move(d, BULK_IN, 0, 1000, 2, &got), 0);
}

static void test_a_command_without_answer(void **state)
{
	struct usb_dev *d = &devs[0];
	unsigned int resets;

	(void)state;
	plug_in();
	device_in(d, 1, USB_SPEED_SUPER);
	resets = fake.resets;
	begin(d);
	fake.silent = true;
	assert_int_equal(bus->ops->packet0(d, 512), -RAY_EIO);
	failed(d, 1);
	assert_int_equal(bus->ops->packet0(d, 512), -RAY_EIO);
	failed(d, 1);
	fake.silent = false;
	mended(d);
	assert_int_equal(fake.resets, resets + 1);
}

static void status_hce(void)
{
	fake.sts |= XHCI_STS_HCE;
	fake_irq(0);
}

static void code_zero(void)
{
	fake_event(fake.command.at - sizeof(struct xhci_trb), 0, XHCI_TRB_TYPE(XHCI_EV_COMMAND));
}

/* While somebody waits for an answer; an answer without a code is none. */
static void test_it_fails_under_a_command(void **state)
{
	struct usb_dev *d = &devs[0];
	uint64_t since;

	(void)state;
	plug_in();
	device_in(d, 1, USB_SPEED_SUPER);
	begin(d);
	since = fake_now;
	look = status_hce;
	assert_int_equal(bus->ops->packet0(d, 512), -RAY_EIO);
	assert_true(fake_now - since < 1000000000);
	failed(d, 1);
	look = NULL;
	mended(d);
	begin(d);
	look = code_zero;
	fake.silent = true;
	assert_int_equal(bus->ops->packet0(d, 512), -RAY_EIO);
	failed(d, 2);
	look = NULL;
	fake.silent = false;
	mended(d);
}

static void test_it_says_so(void **state)
{
	static const uint32_t why[] = {XHCI_STS_HCE, XHCI_STS_HSE};
	struct usb_dev *d = &devs[0];

	(void)state;
	plug_in();
	device_in(d, 1, USB_SPEED_SUPER);
	for (unsigned int i = 0; i < ARRAY_SIZE(why); i++) {
		begin(d);
		fake.sts |= why[i];
		fake_irq(0);
		failed(d, i + 1);
		fake_irq(0);
		failed(d, i + 1);
		mended(d);
	}
}

static void test_pulled(void **state)
{
	struct usb_dev *d = &devs[0];

	(void)state;
	plug_in();
	device_in(d, 1, USB_SPEED_SUPER);
	begin(d);
	fake.gone = true;
	fake_irq(0);
	failed(d, 1);
	d->gone = true;
	bus->ops->detach(d);
	assert_int_equal(bus->ops->restart(bus), -RAY_ENODEV);
	assert_int_equal(bus->ops->attach(d), -RAY_EIO);
	dma_free(&fake_pci, &d->data);
}

static void test_does_not_come_back(void **state)
{
	struct usb_dev *d = &devs[0];

	(void)state;
	plug_in();
	device_in(d, 1, USB_SPEED_SUPER);
	begin(d);
	fake.sts |= XHCI_STS_HCE;
	fake_irq(0);
	bus->ops->detach(d);
	fake.never_runs = true;
	assert_int_equal(bus->ops->restart(bus), -RAY_ETIMEDOUT);
	assert_int_equal(bus->ops->attach(d), -RAY_EIO);
	fake.never_runs = false;
	assert_int_equal(bus->ops->restart(bus), 0);
	memset(fake_usb.busy, 0, sizeof(fake_usb.busy));
	device_again(d);
}

/* It fails before its bus can be told: that is made up for. */
static void test_fails_early(void **state)
{
	(void)state;
	bus_hook = status_hce;
	plug_in();
	assert_int_equal(troubles, 1);
	bus_hook = NULL;
	assert_int_equal(bus->ops->restart(bus), 0);
	device_in(&devs[0], 1, USB_SPEED_SUPER);
}

/* What a controller says in the moment it runs again is heard: else it would say nothing more. */
static void test_ports_after_a_restart(void **state)
{
	(void)state;
	for (unsigned int powered = 0; powered < 2; powered++) {
		fake.hcc = (fake.hcc & ~(uint32_t)XHCI_HCC_PPC) | (powered ? 0 : XHCI_HCC_PPC);
		fake.plugged[1] = USB_SPEED_SUPER;
		plug_in();
		fake.sts |= XHCI_STS_HCE;
		fake_irq(0);
		wakes = 0;
		assert_int_equal(bus->ops->restart(bus), 0);
		turns_pass(3);
		assert_true(wakes > 0);
		device_in(&devs[0], 1, USB_SPEED_SUPER);
		device_out(&devs[0]);
		pull_out();
	}
}

static void fail_at_an_interrupt(void)
{
	look = NULL;
	fake.iman |= XHCI_IMAN_IP;
	fake.sts |= XHCI_STS_EINT;
	xhci_fail(container_of(bus, struct xhci, bus), "it is told to");
}

/* A level falls when it was heard, even by a driver that has given up. */
static void test_pin(void **state)
{
	unsigned int before;

	(void)state;
	fake.pin = true;
	plug_in();
	device_in(&devs[0], 1, USB_SPEED_SUPER);
	turns_pass(10);
	before = fake.interrupts;
	turns_pass(50);
	assert_int_equal(fake.interrupts, before);
	fake_plug(2, USB_SPEED_HIGH);
	look = fail_at_an_interrupt;
	turns_pass(50);
	assert_true(fake.interrupts <= before + 3);
	assert_int_equal(troubles, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_detached_at_work, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_command_without_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_it_fails_under_a_command, setup, teardown),
		cmocka_unit_test_setup_teardown(test_it_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pulled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_does_not_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fails_early, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports_after_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pin, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
