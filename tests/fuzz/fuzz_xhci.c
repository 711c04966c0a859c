/* UNIT: devices/host/xhci/xhci.c devices/host/xhci/xhci_cmd.c devices/host/xhci/xhci_event.c
 * devices/host/xhci/xhci_port.c devices/host/xhci/xhci_ring.c devices/host/xhci/xhci_slot.c
 * devices/host/xhci/xhci_xfer.c devices/host/usb/usb_xfer.c kernel/dma/dma.c kernel/lib/err.c
 */
/* PARSER: devices/host/xhci/xhci_event.c devices/host/xhci/xhci_xfer.c
 * devices/host/xhci/xhci_cmd.c devices/host/xhci/xhci_slot.c devices/host/xhci/xhci_port.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * A controller that does what it is told, but for what the input puts between its turns: events
 * of any content, answers to commands, contexts, registers, or that it was pulled. Each transfer
 * ends once, every wait ends, nothing is left behind.
 */
#include <stdint.h>
#include <stdlib.h>

#include "tests/host/fake_xhci_bus.h"
#include "tests/host/fuzz_input.h"

#define STEPS     12u
#define XFERS     3u
#define TURNS_MAX 20000u
#define TURN_NS   50000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct usb_dev *const d = &devs[0];
static struct input in;
static unsigned int turns;
static struct usb_seg segs[XFERS];
static struct usb_xfer xfers[XFERS];
static bool under_way[XFERS];
static struct usb_listener listener;
static bool listening;

/* --- what the controller says --- */

static void event_about(void)
{
	unsigned int dci = byte(&in) % 8u, at = byte(&in);
	uint64_t base = fake.slot[1].ep[dci].ring.at & ~(uint64_t)(PAGE_SIZE - 1);
	uint32_t code = byte(&in), left = word(&in) >> (byte(&in) % 32);

	fake_event(base + at * sizeof(struct xhci_trb), code << 24 | (left & 0xffffffu),
		   XHCI_TRB_TYPE(XHCI_EV_TRANSFER) | XHCI_TRB_SLOT(1) | XHCI_TRB_EP(dci));
}

static void event_of_anything(void)
{
	uint64_t param = word(&in) | (uint64_t)word(&in) << 32;
	uint32_t status = word(&in);

	fake_event(param, status, word(&in));
}

static void event_of_a_command(void)
{
	uint32_t code = byte(&in), slot = byte(&in);

	fake_event(fake.command.at + byte(&in) * sizeof(struct xhci_trb) -
			   sizeof(struct xhci_trb),
		   code << 24, XHCI_TRB_TYPE(XHCI_EV_COMMAND) | slot << 24);
}

static void context_lie(void)
{
	unsigned int dci = byte(&in) % XHCI_DCI_MAX;

	if (fake_running() && fake_master && fake_device(1))
		fake_ctx(fake_device(1), dci)[byte(&in) % 8] = word(&in);
}

static void turn(void)
{
	uint8_t how = byte(&in);

	if (turns++ > TURNS_MAX)
		abort(); /* somebody waits for what never comes */
	switch (how) {
	case 1: event_of_anything(); break;
	case 2:
	case 3: event_about(); break;
	case 4: event_of_a_command(); break;
	case 5: fake.answer[XHCI_ENABLE_SLOT + byte(&in) % 8u] = byte(&in); break;
	case 6: fake.answer_slot = byte(&in); break;
	case 7: context_lie(); break;
	case 8: fake_usb.busy[byte(&in) % 8u] = byte(&in) & 1; break;
	case 9: fake_usb.fails[byte(&in) % 8u] = byte(&in); break;
	case 10: fake_usb.gives = byte(&in); break;
	case 11: fake.portsc[1 + byte(&in) % FAKE_PORTS] = word(&in); break;
	case 12: fake.sts ^= 1u << byte(&in) % 32; break;
	case 13: fake.silent = !fake.silent; break;
	case 14: fake_irq(0); break;
	case 15: fake.port_stuck = !fake.port_stuck; break;
	case 16: fake_unplug(1); break;
	case 17: fake_usb.two_events = !fake_usb.two_events; break;
	case 255: fake.gone = true; break;
	default: break;
	}
}

/* --- what is done with it --- */

static void done(struct usb_xfer *x, int err)
{
	bool *mine = x->owner;

	if (!*mine || err > 0 || x->got > x->len || fake_lock_count)
		abort();
	*mine = false;
}

static void begin(unsigned int i)
{
	if (under_way[i])
		return;
	segs[i] = (struct usb_seg){{(uintptr_t)memory + i * 70000u}, 1u + word(&in) % 69999u};
	xfers[i] = (struct usb_xfer){.dev = d, .ep = i == 1 ? BULK_OUT : BULK_IN, .seg = &segs[i],
				     .seg_count = 1, .len = segs[i].len, .done = done,
				     .owner = &under_way[i]};
	under_way[i] = true;
	if (usb_submit(&xfers[i]))
		under_way[i] = false;
}

static void heard(void *owner, const uint8_t *p, uint32_t len)
{
	(void)p;
	if (owner != d || len > USB_REPORT_MAX)
		abort();
}

static void listen_begin(void)
{
	if (!listening && d->hc)
		listening = usb_listen(&listener, d, &d->config.iface[0].ep[2], heard, d) == 0;
}

static void leave(void)
{
	d->gone = true;
	bus->ops->detach(d);
	for (unsigned int i = 0; i < XFERS; i++) {
		if (under_way[i])
			abort();
	}
	if (listening)
		usb_listen_end(&listener);
	listening = false;
}

static void control(uint8_t type)
{
	struct usb_setup s = {.type = type, .request = byte(&in), .length = byte(&in)};
	uint8_t buf[256] = {0};
	uint32_t got = 0;

	if (usb_control(d, &s, buf, &got) == 0 && got > s.length)
		abort();
}

static void transfer(uint8_t ep)
{
	uint32_t len = word(&in) % 200000u, got;
	unsigned int pieces = byte(&in);

	(void)move(d, ep, byte(&in), len, pieces, &got);
	if (got > len)
		abort();
}

static void step(void)
{
	struct usb_port_state st;
	int err = 0;

	switch (byte(&in) % 10u) {
	case 0: control(USB_REQ_IN); break;
	case 1: control(0); break;
	case 2: transfer(BULK_IN); break;
	case 3: transfer(BULK_OUT); break;
	case 4: err = usb_ep_reset(d, byte(&in) & 1 ? BULK_IN : INTERRUPT_IN); break;
	case 5: begin(byte(&in) % XFERS); break;
	case 6: listen_begin(); break;
	case 7: err = d->hc ? bus->ops->packet0(d, 64) : 0; break;
	case 8: err = d->hc ? bus->ops->hub(d, byte(&in), 1) : 0; break;
	default: err = bus->root.ops->state(&bus->root, 1, &st); break;
	}
	(void)err; /* any will do */
	turns_pass(byte(&in) % 4u);
}

/* As the bus's thread does it. Returns: whether it is of use. */
static bool mend(void)
{
	leave();
	if (troubles > 0 && bus->ops->restart(bus))
		return false;
	troubles = 0;
	return device_again(d) == 0;
}

static void use(void)
{
	bool well;

	device_make(d, 1, byte(&in) % 6u);
	well = device_again(d) == 0;
	for (unsigned int i = 0; i < STEPS; i++) {
		if (well)
			step();
		if (!well || troubles > 0)
			well = mend();
	}
	leave();
	device_out(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	setup(NULL);
	in = (struct input){data, size};
	turns = 0;
	look = turn;
	fake.strict = false;
	fake.turn_ns = TURN_NS;
	if (byte(&in) & 1) {
		fake.p1 ^= word(&in);
		fake.p2 ^= (uint32_t)byte(&in) << 24;
		fake.hcc ^= word(&in);
		fake.xecp[byte(&in) % FAKE_XECP_LEN] = word(&in);
	}
	if (fake_driver()->probe(&fake_pci) == 0) {
		use();
		fake_driver()->remove(&fake_pci);
	}
	teardown(NULL);
	return 0;
}
