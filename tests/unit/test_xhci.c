/* UNIT: devices/host/xhci/xhci.c devices/host/xhci/xhci_cmd.c devices/host/xhci/xhci_event.c
 * devices/host/xhci/xhci_port.c devices/host/xhci/xhci_ring.c devices/host/xhci/xhci_slot.c
 * devices/host/xhci/xhci_xfer.c devices/host/usb/usb_xfer.c kernel/dma/dma.c kernel/lib/err.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * The xHCI driver over a controller in memory (fake_xhci.h): its start and end, ports and devices.
 * Transfers: test_xhci_xfer.c; controllers that fail or lie: test_xhci_fail.c, test_xhci_hostile.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/host/fake_xhci_bus.h"

/* --- start and end --- */

static void test_start_and_stop(void **state)
{
	const uint64_t *slots;

	(void)state;
	plug_in();
	assert_int_equal(fake.config, FAKE_SLOTS);
	assert_true(fake_running() && fake_master);
	slots = fake_memory(fake.dcbaap);
	for (unsigned int i = 0; i < FAKE_PADS; i++) {
		uint64_t pad = ((const uint64_t *)fake_memory(slots[0]))[i];

		assert_true(pad != 0 && pad % PAGE_SIZE == 0);
	}
	for (unsigned int port = 1; port <= FAKE_PORTS; port++)
		assert_true(fake.portsc[port] & XHCI_PORT_PP);
	assert_int_equal(bus->root.ports, FAKE_PORTS);
	/* Firmware behind two capabilities of other kinds has let go, and hears no SMI more. */
	assert_int_equal(fake.xecp[8] & (XHCI_LEGACY_BIOS | XHCI_LEGACY_OS), XHCI_LEGACY_OS);
	assert_int_equal(fake.xecp[9], 0);
	pull_out();
	assert_true(fake.sts & XHCI_STS_HALTED);
	assert_int_equal(fake.resets, 2);
	assert_false(fake_master);
}

static void refused(int err)
{
	assert_int_equal(fake_driver()->probe(&fake_pci), err);
	assert_false(fake_master);
	assert_null(fake_irqs[0].fn);
	assert_int_equal(fake_heap_live, 0);
	assert_int_equal(fake_pages_live, 0);
}

static void test_not_one_of_ours(void **state)
{
	(void)state;
	fake_pci.bar[0].size = 0;
	refused(-RAY_ENODEV);
	fake_pci.bar[0].size = 0x10;
	refused(-RAY_ENODEV);
	fake_pci.bar[0].size = 0x400; /* its ports lie behind that */
	refused(-RAY_ENODEV);
	fake_pci.bar[0].size = FAKE_BAR;
	fake.p1 &= ~0xffu;
	refused(-RAY_ENODEV);
	fake.p1 = FAKE_SLOTS;
	refused(-RAY_ENODEV);
	fake.p1 = FAKE_SLOTS | FAKE_PORTS << 24;
	fake.dboff = FAKE_BAR - 4 * FAKE_SLOTS;
	refused(-RAY_ENODEV);
	fake.dboff = 0xfffffffcu;
	refused(-RAY_ENODEV);
	fake.dboff = FAKE_DOORBELLS;
	fake.rtsoff = 0xffffffe0u;
	refused(-RAY_ENODEV);
	fake.rtsoff = FAKE_RUNTIME;
	fake.pagesize = 2;
	refused(-RAY_ENOSYS);
	fake.pagesize = 1;
	fake.gone = true;
	refused(-RAY_ENODEV);
	fake.gone = false;
	plug_in();
}

static void test_does_not_start(void **state)
{
	bool *const wrongs[] = {&fake.never_runs, &fake.never_resets, &fake.never_ready};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(wrongs); i++) {
		*wrongs[i] = true;
		refused(-RAY_ETIMEDOUT);
		*wrongs[i] = false;
		fake.resetting = fake.not_ready = 1;
		for (unsigned int n = 0; n < 3; n++)
			thread_yield();
	}
	bus_fails = true;
	refused(-RAY_ENOMEM);
	bus_fails = false;
	/* One that does not halt when it is asked is reset all the same. */
	fake.sts = 0;
	fake.never_halts = true;
	plug_in();
}

static void firmware(const uint32_t *words, size_t count, uint64_t longest)
{
	uint64_t since = fake_now;

	memset(fake.xecp, 0, sizeof(fake.xecp));
	memcpy(fake.xecp, words, 4 * count);
	plug_in();
	assert_true(fake_now - since < longest);
	pull_out();
}

/* Lists of capabilities that lead out of the BAR or go on and on. */
static void test_firmware(void **state)
{
	static const uint32_t out[] = {0x0000ff02}, other[] = {0x00000102, 0x00000105, 0x000000c0};
	uint32_t many[FAKE_XECP_LEN];

	(void)state;
	firmware(out, 1, 100000000);
	firmware(other, 3, 100000000);
	fake.bios_stays = true;
	for (unsigned int i = 0; i < FAKE_XECP_LEN; i++)
		many[i] = XHCI_LEGACY_BIOS | 1u << 8 | XHCI_XECP_LEGACY;
	firmware(many, FAKE_XECP_LEN, 1200000000);
	assert_true(fake.xecp[0] & XHCI_LEGACY_OS);
	for (unsigned int i = 0; i < FAKE_XECP_LEN; i++)
		many[i] = 1u << 8 | XHCI_XECP_PROTOCOL;
	firmware(many, FAKE_XECP_LEN, 100000000);
	fake.hcc |= 0xffffu << 16;
	firmware(out, 1, 100000000);
	fake.hcc &= 0xffffu;
	firmware(out, 1, 100000000);
}

static void test_starved_start(void **state)
{
	unsigned int n = 1;

	(void)state;
	while (fake_probe_starved(n))
		n++;
	assert_true(n > 8 + FAKE_PADS);
	assert_non_null(bus);
}

/* --- ports --- */

static void test_ports(void **state)
{
	struct usb_port_state st;

	(void)state;
	plug_in();
	fake_plug(2, USB_SPEED_HIGH);
	turns_pass(2);
	assert_int_equal(wakes, 1);
	assert_int_equal(bus->root.ops->state(&bus->root, 2, &st), 0);
	assert_true(st.connected && st.changed && !st.enabled);
	assert_int_equal(bus->root.ops->state(&bus->root, 2, &st), 0);
	assert_true(st.connected && !st.changed);
	assert_int_equal(bus->root.ops->reset(&bus->root, 2), 0);
	assert_int_equal(bus->root.ops->state(&bus->root, 2, &st), 0);
	assert_true(st.connected && st.enabled && !st.changed && st.speed == USB_SPEED_HIGH);
	/* Pulled in the middle of a reset: that is not lost. */
	fake_unplug(2);
	assert_int_equal(bus->root.ops->reset(&bus->root, 2), 0);
	assert_int_equal(bus->root.ops->state(&bus->root, 2, &st), 0);
	assert_true(!st.connected && !st.enabled && st.changed);
	fake.port_stuck = true;
	assert_int_equal(bus->root.ops->reset(&bus->root, 3), -RAY_ETIMEDOUT);
	fake.gone = true;
	assert_int_equal(bus->root.ops->reset(&bus->root, 3), -RAY_ENODEV);
	assert_int_equal(bus->root.ops->state(&bus->root, 3, &st), -RAY_ENODEV);
}

/* --- devices --- */

static void contexts(uint32_t hcc)
{
	const uint32_t *c;
	struct usb_dev *d = &devs[0];

	fake.hcc = hcc | FAKE_XECP / 4 << 16;
	plug_in();
	device_in(d, 1, USB_SPEED_SUPER);
	c = fake_ctx(fake_device(1), 0);
	assert_int_equal(c[0] >> 20 & 0xf, USB_SPEED_SUPER);
	assert_int_equal(c[0] >> 27, 7); /* the last endpoint: 3, IN */
	assert_int_equal(c[1] >> 16 & 0xff, 1);
	c = fake_ctx(fake_device(1), xhci_dci(BULK_IN));
	assert_int_equal(c[1], XHCI_EP1_ERRORS | 6 << 3 | 3 << 8 | 1024u << 16);
	c = fake_ctx(fake_device(1), xhci_dci(INTERRUPT_IN));
	assert_int_equal(c[0] >> 16, 3); /* 8 * 125 us */
	assert_int_equal(c[1], XHCI_EP1_ERRORS | 7 << 3 | 64u << 16);
	assert_int_equal(c[4], 64 | 64 << 16);
	assert_int_equal(fake.slot[1].ep[8].state, FAKE_EP_DISABLED); /* isochronous */
	assert_int_equal(bus->ops->packet0(d, 512), 0);
	assert_int_equal(fake.slot[1].ep[1].packet, 512);
	assert_int_equal(bus->ops->hub(d, 4, 0), 0);
	c = fake_ctx(fake_device(1), 0);
	assert_true(c[0] & XHCI_SLOT0_HUB);
	assert_int_equal(c[0] >> 27, 7);
	assert_int_equal(c[1] >> 24, 4);
	if (!(hcc & XHCI_HCC_AC64))
		assert_true(fake.dcbaap <= UINT32_MAX && fake_device(1) <= UINT32_MAX);
	device_out(d);
	assert_int_equal(fake_device(1), 0);
	assert_false(fake.slot[1].enabled);
	pull_out();
}

static void test_contexts(void **state)
{
	(void)state;
	contexts(XHCI_HCC_AC64 | XHCI_HCC_PPC);
	contexts(XHCI_HCC_AC64 | XHCI_HCC_CSZ);
	contexts(0);
}

/* A full speed device behind a hub of high speed: who speaks to it, how often (6.2.2, 6.2.3.6). */
static void test_behind_a_hub(void **state)
{
	static const struct { uint8_t interval, exp; } full[] = {
		{0, 3}, {1, 3}, {2, 4}, {3, 4}, {10, 6}, {255, 10}};
	struct usb_dev *hub = &devs[0], *d = &devs[1];
	const uint32_t *c;

	(void)state;
	plug_in();
	device_in(hub, 1, USB_SPEED_HIGH);
	assert_int_equal(bus->ops->hub(hub, 4, 2), 0);
	assert_int_equal(fake_ctx(fake_device(1), 0)[2] >> 16, 2);
	device_make(d, 1, USB_SPEED_FULL);
	d->route = 3;
	d->tt = hub;
	d->tt_port = 3;
	for (unsigned int i = 0; i < ARRAY_SIZE(full); i++) {
		d->config.iface[0].ep[2].interval = full[i].interval;
		assert_int_equal(bus->ops->attach(d), 0);
		assert_int_equal(fake.slot[2].ep[1].packet, 8);
		assert_int_equal(bus->ops->configure(d), 0);
		c = fake_ctx(fake_device(2), 0);
		assert_int_equal(c[0] & 0xfffff, 3);
		assert_int_equal(c[2], 1 | 3 << 8);
		c = fake_ctx(fake_device(2), xhci_dci(INTERRUPT_IN));
		assert_int_equal(c[0] >> 16, full[i].exp);
		bus->ops->detach(d);
	}
	bus->ops->detach(d); /* it has no slot any more */
	dma_free(&fake_pci, &d->data);
}

/* What a controller may refuse, and what is left then: nothing, and the next device works. */
static void test_refusals(void **state)
{
	struct usb_dev *d = &devs[0];

	(void)state;
	plug_in();
	device_make(d, 1, USB_SPEED_SUPER);
	fake.answer[XHCI_ENABLE_SLOT] = 9;
	assert_int_equal(bus->ops->attach(d), -RAY_EIO);
	fake.answer[XHCI_ENABLE_SLOT] = 0;
	memset(&fake.slot, 0, sizeof(fake.slot));
	fake.answer[XHCI_ADDRESS_DEVICE] = 4;
	assert_int_equal(bus->ops->attach(d), -RAY_EIO);
	assert_null(d->hc);
	assert_int_equal(fake.commands[XHCI_DISABLE_SLOT], 1);
	fake.answer[XHCI_ADDRESS_DEVICE] = 0;
	assert_int_equal(bus->ops->attach(d), 0);
	fake.answer[XHCI_EVALUATE_CONTEXT] = fake.answer[XHCI_CONFIGURE_ENDPOINT] = 17;
	assert_int_equal(bus->ops->packet0(d, 512), -RAY_EIO);
	assert_int_equal(bus->ops->configure(d), -RAY_EIO);
	bus->ops->detach(d);
	assert_int_equal(troubles, 0);
	memset(fake.answer, 0, sizeof(fake.answer));
	device_again(d);
	/* It keeps a slot that it is to give back: its memory is not safe from it then. */
	fake.answer[XHCI_DISABLE_SLOT] = 5;
	bus->ops->detach(d);
	assert_int_equal(troubles, 1);
	assert_false(fake_master);
	fake.answer[XHCI_DISABLE_SLOT] = 0;
	assert_int_equal(bus->ops->restart(bus), 0);
	device_again(d);
}

static void test_starved_device(void **state)
{
	struct usb_dev *d = &devs[0];
	int err = -RAY_ENOMEM;
	long heap;
	int pages;

	(void)state;
	plug_in();
	device_make(d, 1, USB_SPEED_SUPER);
	heap = fake_heap_live;
	pages = fake_pages_live;
	for (int n = 1; err; n++) {
		fake_heap_fail_at = n;
		err = bus->ops->attach(d);
		if (!err) {
			err = bus->ops->configure(d);
			bus->ops->detach(d);
		}
		assert_true(!err == (fake_heap_fail_at > 0));
		fake_heap_fail_at = 0;
		assert_true(err == 0 || err == -RAY_ENOMEM);
		assert_int_equal(fake_heap_live, heap);
		assert_int_equal(fake_pages_live, pages);
		assert_true(n < 20 && (err == 0 || n <= 11));
	}
	device_again(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start_and_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_one_of_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_does_not_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_firmware, setup, teardown),
		cmocka_unit_test_setup_teardown(test_starved_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_contexts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_behind_a_hub, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_starved_device, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
