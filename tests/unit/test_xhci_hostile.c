/* UNIT: devices/host/xhci/xhci.c devices/host/xhci/xhci_cmd.c devices/host/xhci/xhci_event.c
 * devices/host/xhci/xhci_port.c devices/host/xhci/xhci_ring.c devices/host/xhci/xhci_slot.c
 * devices/host/xhci/xhci_xfer.c devices/host/usb/usb_xfer.c kernel/dma/dma.c kernel/lib/err.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * The xHCI driver under a controller that lies: events about what nobody asked for, about what is
 * not there, of what cannot be; answers that name other slots; contexts that say nonsense. A
 * transfer ends once and with no more bytes than it has; what was said before does not matter
 * afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/host/fake_xhci_bus.h"

#define XFERS   3u
#define BYTES   192u /* of each, in two blocks */
#define NOT_YET 1

#define RING_BYTES (XHCI_RING_LEN * sizeof(struct xhci_trb))
#define SUCCESS    (XHCI_CC_SUCCESS << 24)

static struct usb_dev *const d = &devs[0];
static struct usb_seg segs[XFERS][2];
static struct usb_xfer xfers[XFERS];
static int ended[XFERS];
static uint64_t ring; /* of BULK_IN */

static void done(struct usb_xfer *x, int err)
{
	int *e = x->owner;

	assert_int_equal(*e, NOT_YET);
	assert_int_equal(fake_lock_count, 0);
	assert_true(err <= 0 && x->got <= x->len);
	*e = err;
}

/* Transfers that the device makes wait; from the ring's beginning on. */
static void begin(void)
{
	fake_usb.busy[xhci_dci(BULK_IN)] = true;
	assert_int_equal(usb_ep_reset(d, BULK_IN), 0);
	ring = fake.slot[1].ep[xhci_dci(BULK_IN)].ring.at;
	for (unsigned int i = 0; i < XFERS; i++) {
		uint64_t at = (uintptr_t)memory + i * BYTES;

		segs[i][0] = (struct usb_seg){{at}, BYTES / 2};
		segs[i][1] = (struct usb_seg){{at + BYTES / 2}, BYTES / 2};
		ended[i] = NOT_YET;
		xfers[i] = (struct usb_xfer){.dev = d, .ep = BULK_IN, .seg = segs[i],
					     .seg_count = 2, .len = BYTES, .done = done,
					     .owner = &ended[i]};
		assert_int_equal(usb_submit(&xfers[i]), 0);
	}
	turns_pass(2);
}

static void say(uint64_t param, uint32_t status, uint32_t control)
{
	fake_event(param, status, control);
	fake_interrupt();
}

static uint32_t of_xfer(unsigned int slot, unsigned int dci)
{
	return XHCI_TRB_TYPE(XHCI_EV_TRANSFER) | XHCI_TRB_SLOT(slot) | XHCI_TRB_EP(dci);
}

/* Of BULK_IN, about one of its blocks. */
static void say_block(unsigned int block, uint32_t code, uint32_t left)
{
	say(ring + block * sizeof(struct xhci_trb), code << 24 | left,
	    of_xfer(1, xhci_dci(BULK_IN)));
}

static void all_wait(void)
{
	for (unsigned int i = 0; i < XFERS; i++)
		assert_int_equal(ended[i], NOT_YET);
}

/* Whatever was said, taken back is taken back, and the next transfer is as any other. */
static void works(void)
{
	uint32_t got;

	assert_int_equal(usb_ep_reset(d, BULK_IN), 0);
	for (unsigned int i = 0; i < XFERS; i++)
		assert_true(ended[i] != NOT_YET);
	fake_usb.busy[xhci_dci(BULK_IN)] = false;
	assert_int_equal(move(d, BULK_IN, 0, 5000, 5, &got), 0);
	assert_int_equal(got, 5000);
	assert_int_equal(troubles, 0);
}

static int begin_all(void **state)
{
	setup(state);
	plug_in();
	device_in(d, 1, USB_SPEED_SUPER);
	begin();
	return 0;
}

/* Nothing that is under way is meant by any of these. */
static void test_about_nothing(void **state)
{
	const uint32_t bulk = of_xfer(1, xhci_dci(BULK_IN));
	const struct { uint64_t param; uint32_t control; } events[] = {
		{0, bulk}, {UINT64_MAX, bulk}, {ring - 1, bulk}, {ring - 16, bulk},
		{ring + RING_BYTES - 16, bulk}, /* the link */
		{ring + RING_BYTES, bulk}, {ring + (1ull << 32), bulk}, {ring | 1ull << 63, bulk},
		{ring + 2 * XFERS * 16, bulk}, /* the first block behind */
		{ring, of_xfer(0, 3)}, {ring, of_xfer(2, 3)}, {ring, of_xfer(FAKE_SLOTS, 3)},
		{ring, of_xfer(FAKE_SLOTS + 1, 3)}, {ring, of_xfer(255, 3)},
		{ring, of_xfer(1, 0)}, {ring, of_xfer(1, 1)}, {ring, of_xfer(1, 2)},
		{ring, of_xfer(1, 31)},
		{ring, XHCI_TRB_TYPE(0) | XHCI_TRB_SLOT(1)}, {ring, XHCI_TRB_TYPE(63)},
		{ring, XHCI_TRB_TYPE(XHCI_NORMAL)}, {ring, XHCI_TRB_TYPE(XHCI_EV_CONTROLLER)},
		{ring, XHCI_TRB_TYPE(XHCI_EV_COMMAND) | XHCI_TRB_SLOT(1)},
		{fake.command.at - 16, XHCI_TRB_TYPE(XHCI_EV_COMMAND) | XHCI_TRB_SLOT(1)},
		{UINT64_MAX, XHCI_TRB_TYPE(XHCI_EV_PORT)},
	};
	uint32_t got;

	(void)state;
	wakes = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(events); i++) {
		say(events[i].param, SUCCESS, events[i].control);
		say(events[i].param, XHCI_CC_STALL << 24, events[i].control);
		all_wait();
	}
	assert_int_equal(wakes, 2); /* of ports */
	/* No endpoint is halted by that. */
	fake_usb.busy[xhci_dci(BULK_IN)] = false;
	assert_int_equal(move(d, BULK_IN, 0, 100, 2, &got), 0);
	assert_int_equal(move(d, BULK_OUT, 0, 100, 2, &got), 0);
	assert_int_equal(ended[XFERS - 1], 0);
	works();
}

/* Bytes that were left of more than there were. */
static void test_lengths(void **state)
{
	static const struct { unsigned int block; uint32_t left, got; } cases[] = {
		{0, 0, BYTES / 2}, {0, BYTES / 2, 0}, {0, BYTES / 2 + 1, 0}, {0, 0xffffff, 0},
		{1, 0, BYTES}, {1, 1, BYTES - 1}, {1, 0x20000, BYTES / 2}, {1, 0xffffff, BYTES / 2},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		works();
		begin();
		say_block(cases[i].block, i % 2 ? XHCI_CC_SHORT : XHCI_CC_SUCCESS, cases[i].left);
		assert_int_equal(ended[0], 0);
		assert_int_equal(xfers[0].got, cases[i].got);
	}
	works();
}

/* Every code there could be: it ends the transfer once, or not at all. */
static void test_codes(void **state)
{
	static const uint8_t goes_on[] = {XHCI_CC_RING_UNDERRUN, XHCI_CC_RING_OVERRUN,
					  XHCI_CC_STOPPED, XHCI_CC_STOPPED_INVALID,
					  XHCI_CC_STOPPED_SHORT};

	(void)state;
	for (unsigned int code = 0; code < 256; code++) {
		bool well = code == XHCI_CC_SUCCESS || code == XHCI_CC_SHORT;
		int want = well ? 0 : code == XHCI_CC_STALL ? -RAY_EPROTO : -RAY_EIO;

		if (memchr(goes_on, (int)code, sizeof(goes_on)))
			want = NOT_YET;
		works();
		begin();
		say_block(1, code, 0);
		say_block(1, code, 0);
		assert_int_equal(ended[0], want);
		assert_int_equal(ended[1], NOT_YET);
		/* After an error nothing begins before the endpoint is reset. */
		if (want < 0)
			assert_int_equal(usb_submit(&xfers[0]), -RAY_EIO);
	}
	works();
}

/* In any order, and the room of the ring is what it was. */
static void test_order(void **state)
{
	static const uint8_t orders[][XFERS] = {{2, 1, 0}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}};
	uint32_t got;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(orders); i++) {
		works();
		begin();
		for (unsigned int n = 0; n < XFERS; n++) {
			say_block(2u * orders[i][n] + 1, XHCI_CC_SUCCESS, n);
			assert_int_equal(ended[orders[i][n]], 0);
			assert_int_equal(xfers[orders[i][n]].got, BYTES - n);
		}
	}
	works();
	assert_int_equal(move(d, BULK_IN, 0, 254, 254, &got), 0);
}

static unsigned int stage;

/* Once for each transfer of endpoint 0: about one of its three blocks. */
static void stage_lie(void)
{
	struct fake_ep *ep = &fake.slot[1].ep[1];
	uint64_t at;

	if (!ep->rung || stage > 2)
		return;
	at = ep->ring.at + stage * sizeof(struct xhci_trb);
	fake_event(at, SUCCESS | 0xffffffu, of_xfer(1, 1));
	fake_event(at, XHCI_CC_SHORT << 24 | 0xffffffu, of_xfer(1, 1));
	stage = 3;
}

static void test_stages(void **state)
{
	struct usb_setup s = {.type = USB_REQ_IN, .length = 64};
	uint8_t buf[64];
	uint32_t got;

	(void)state;
	look = stage_lie;
	for (unsigned int i = 0; i < 3; i++) {
		stage = i;
		assert_int_equal(usb_control(d, &s, buf, &got), 0);
		assert_true(got <= sizeof(buf));
		/* It is still at the last, and says so now: of nobody. */
		turns_pass(3);
	}
	look = NULL;
	assert_int_equal(usb_control(d, &s, buf, &got), 0);
	assert_int_equal(got, sizeof(buf));
	works();
}

static uint64_t chance(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static uint64_t any_param(void)
{
	switch (chance() % 4) {
	case 0:
		return chance();
	case 1:
		return fake.command.at + chance() % RING_BYTES;
	default:
		return ring + chance() % (2 * XFERS * 16 + 64);
	}
}

/* As much as the ring holds (4.9.4), again and again. */
static void test_a_ring_full_of_garbage(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 200; i++) {
		for (unsigned int n = 0; n < XHCI_RING_LEN - 1; n++)
			fake_event(any_param(), (uint32_t)chance(),
				   chance() % 2 ? (uint32_t)chance()
						: of_xfer(1, (unsigned int)chance() % 8));
		fake_interrupt();
		works();
		begin();
	}
	works();
}

/* Events without an end: each interrupt does a ring's length of them and no more. */
static void test_events_without_end(void **state)
{
	struct xhci_trb *e = fake_memory(fake.events);

	(void)state;
	/* Whatever cycle is asked for, it is there. */
	for (unsigned int n = 0; n < XHCI_RING_LEN; n++)
		e[n].control = XHCI_TRB_TYPE(63) |
			       (n < fake.event_at ? fake.event_cycle ^ 1u : fake.event_cycle);
	for (unsigned int i = 0; i < 3; i++) {
		fake_irq(0);
		assert_int_equal(fake.erdp, fake.events + fake.event_at * sizeof(*e));
		for (unsigned int n = 0; n < XHCI_RING_LEN; n++)
			e[n].control ^= XHCI_TRB_CYCLE;
	}
	all_wait();
	/* The two are out of step by now: a command is not heard, which mends it. */
	assert_int_equal(bus->ops->packet0(d, 512), -RAY_EIO);
	assert_int_equal(troubles, 1);
	bus->ops->detach(d);
	assert_int_equal(ended[0], -RAY_EIO);
	assert_int_equal(bus->ops->restart(bus), 0);
	troubles = 0;
	(void)device_again(d);
	begin();
	works();
}

static void test_slots_that_are_none(void **state)
{
	static const uint8_t lies[] = {0, 1, FAKE_SLOTS + 1, 255};
	struct usb_dev *other = &devs[1];
	long heap;
	int pages;

	(void)state;
	device_make(other, 2, USB_SPEED_HIGH);
	heap = fake_heap_live;
	pages = fake_pages_live;
	for (unsigned int i = 0; i < ARRAY_SIZE(lies); i++) {
		fake.answer_slot = lies[i];
		fake.answer_zero = lies[i] == 0;
		assert_int_equal(bus->ops->attach(other), -RAY_EIO);
		assert_null(other->hc);
		assert_int_equal(fake_heap_live, heap);
		assert_int_equal(fake_pages_live, pages);
		memset(&fake.slot[2], 0, sizeof(fake.slot[2]));
	}
	fake.answer_slot = 0;
	(void)device_again(other);
	all_wait();
	works();
}

/* It is said to be halted and is not, for ever: a controller that nobody can talk to. */
static void test_contexts_that_lie(void **state)
{
	uint32_t *c = fake_ctx(fake_device(1), xhci_dci(BULK_IN));

	(void)state;
	*c = (*c & ~7u) | FAKE_EP_HALTED;
	assert_int_equal(usb_ep_reset(d, BULK_IN), -RAY_EIO);
	assert_int_equal(troubles, 1);
	for (unsigned int i = 0; i < XFERS; i++)
		assert_int_equal(ended[i], -RAY_EIO);
	bus->ops->detach(d);
	assert_int_equal(bus->ops->restart(bus), 0);
	troubles = 0;
	(void)device_again(d);
	/* A hub's context is given back as it was found. */
	memset(fake_ctx(fake_device(1), 0), 0xff, 32);
	fake.answer[XHCI_CONFIGURE_ENDPOINT] = 17;
	assert_int_equal(bus->ops->hub(d, 4, 0), -RAY_EIO);
	begin();
	works();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_about_nothing, begin_all, teardown),
		cmocka_unit_test_setup_teardown(test_lengths, begin_all, teardown),
		cmocka_unit_test_setup_teardown(test_codes, begin_all, teardown),
		cmocka_unit_test_setup_teardown(test_order, begin_all, teardown),
		cmocka_unit_test_setup_teardown(test_stages, begin_all, teardown),
		cmocka_unit_test_setup_teardown(test_a_ring_full_of_garbage, begin_all, teardown),
		cmocka_unit_test_setup_teardown(test_events_without_end, begin_all, teardown),
		cmocka_unit_test_setup_teardown(test_slots_that_are_none, begin_all, teardown),
		cmocka_unit_test_setup_teardown(test_contexts_that_lie, begin_all, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
