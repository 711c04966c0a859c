/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller of fake_xhci.h: commands, slots, endpoints and their transfers, and a device on
 * each slot. A device gives bytes of fake_usb.data on every endpoint from their beginning on, and
 * takes them into it; bytes of control transfers stand in fake_usb.control.
 * Included by one .c of a test.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_XHCI_EP_H
#define RAYOS_TESTS_HOST_FAKE_XHCI_EP_H

#include "tests/host/fake_xhci.h"

#define FAKE_TD_MAX    256u
#define FAKE_DATA_LEN  MIB(1)
#define FAKE_AT_STATUS UINT32_MAX /* ... a control transfer's last stage */

static struct {
	uint8_t data[FAKE_DATA_LEN], control[USB_CONTROL_MAX];
	uint32_t gives;              /* bytes at once at most: a short packet ends them */
	bool two_events;             /* of one short transfer, as some controllers have it */
	bool busy[XHCI_DCI_MAX];     /* says NAK */
	uint8_t fails[XHCI_DCI_MAX]; /* how the next transfer ends; 0: well */
	uint32_t fails_at;           /* the block of it, or ... */
	struct usb_setup setup;      /* the last */
	unsigned int tds[XHCI_DCI_MAX];
} fake_usb;

struct fake_td {
	struct xhci_trb t[FAKE_TD_MAX];
	uint64_t at[FAKE_TD_MAX];
	unsigned int count;
};

/* --- rings --- */

/* The next block that is the controller's; links are followed (4.11.5.1). */
static bool fake_ring_next(struct fake_ring *r, struct xhci_trb *t, uint64_t *at)
{
	for (unsigned int links = 0; links < 2; links++) {
		*t = *(struct xhci_trb *)fake_memory(r->at);
		if ((t->control & XHCI_TRB_CYCLE) != r->cycle)
			return false;
		*at = r->at;
		if (XHCI_TRB_TYPE_OF(t->control) != XHCI_LINK) {
			r->at += sizeof(*t);
			r->chained = t->control & XHCI_TRB_CHAIN;
			return true;
		}
		fake_must(!(t->control & XHCI_TRB_CHAIN) == !r->chained); /* 4.11.7 */
		fake_must(t->param % 16 == 0 && r->at - t->param < XHCI_RING_LEN * sizeof(*t));
		if (t->control & XHCI_TRB_TOGGLE)
			r->cycle ^= XHCI_TRB_CYCLE;
		r->at = t->param;
	}
	fake_must(false);
	return false;
}

/* All blocks of a transfer; the driver hands over nothing less. */
static bool fake_td_next(struct fake_ep *ep, struct fake_td *td)
{
	struct fake_ring start = ep->ring;

	for (td->count = 0; td->count < FAKE_TD_MAX; td->count++) {
		struct xhci_trb *t = &td->t[td->count];

		if (!fake_ring_next(&ep->ring, t, &td->at[td->count])) {
			fake_must(td->count == 0);
			break;
		}
		if (!(t->control & XHCI_TRB_CHAIN)) {
			td->count++;
			return true;
		}
	}
	ep->ring = start;
	return false;
}

/* --- contexts --- */

static uint32_t *fake_ctx(uint64_t base, unsigned int i)
{
	return (uint32_t *)((char *)fake_memory(base) + i * (fake.hcc & XHCI_HCC_CSZ ? 64u : 32u));
}

static uint64_t fake_device(unsigned int slot)
{
	return ((uint64_t *)fake_memory(fake.dcbaap))[slot];
}

static void fake_ep_state(unsigned int slot, unsigned int dci, enum fake_ep_state state)
{
	uint32_t *c = fake_ctx(fake_device(slot), dci);

	fake.slot[slot].ep[dci].state = (uint8_t)state;
	*c = (*c & ~7u) | state;
}

static void fake_ep_enter(unsigned int slot, unsigned int dci, uint64_t input)
{
	const uint32_t *in = fake_ctx(input, dci + 1u);
	uint8_t type = in[1] >> 3 & 7u;

	memcpy(fake_ctx(fake_device(slot), dci), in, 20);
	fake.slot[slot].ep[dci] = (struct fake_ep){
		.ring = {.at = (in[2] | (uint64_t)in[3] << 32) & ~0xfull,
			 .cycle = in[2] & XHCI_TRB_CYCLE},
		.type = type, .packet = (uint16_t)(in[1] >> 16)};
	fake_must(in[1] >> 16 > 0 && (in[2] & 0xeu) == 0);
	/* 6.2.3: kinds with their direction. */
	fake_must(dci == 1 ? type == 4 : type == (dci % 2 ? 6 : 2) || type == (dci % 2 ? 7 : 3));
	fake_ep_state(slot, dci, FAKE_EP_RUNNING);
}

/* --- commands (4.6) --- */

static uint8_t fake_address(unsigned int slot, uint64_t input)
{
	const uint32_t *control = fake_ctx(input, 0), *in = fake_ctx(input, 1);
	unsigned int port = in[1] >> 16 & 0xffu;
	uint32_t *out = fake_ctx(fake_device(slot), 0);

	fake_must(control[0] == 0 && control[1] == 3 && in[0] >> 27 == 1);
	fake_must(port >= 1 && port <= FAKE_PORTS && (fake.portsc[port] & XHCI_PORT_PED));
	memcpy(out, in, 16);
	out[3] = slot | 2u << 27; /* addressed */
	fake_ep_enter(slot, 1, input);
	return XHCI_CC_SUCCESS;
}

static uint8_t fake_configure(unsigned int slot, uint64_t input)
{
	const uint32_t *control = fake_ctx(input, 0), *in = fake_ctx(input, 1);
	uint32_t *out = fake_ctx(fake_device(slot), 0);
	unsigned int last = 1;

	fake_must(control[0] == 0 && (control[1] & 3u) == 1);
	for (unsigned int dci = 2; dci < XHCI_DCI_MAX; dci++) {
		if (!(control[1] & 1u << dci))
			continue;
		fake_ep_enter(slot, dci, input);
		last = dci;
	}
	fake_must(in[0] >> 27 >= last && in[3] == 0);
	memcpy(out, in, 12);
	out[3] = slot | 3u << 27; /* configured */
	return XHCI_CC_SUCCESS;
}

static uint8_t fake_evaluate(unsigned int slot, uint64_t input)
{
	fake_must(fake_ctx(input, 0)[0] == 0 && fake_ctx(input, 0)[1] == 2);
	fake.slot[slot].ep[1].packet = (uint16_t)(fake_ctx(input, 2)[1] >> 16);
	return XHCI_CC_SUCCESS;
}

/* 4.6.9: what is under way is told of before the answer. */
static uint8_t fake_stop(unsigned int slot, unsigned int dci)
{
	struct fake_ep *ep = &fake.slot[slot].ep[dci];
	struct fake_ring r = ep->ring;
	struct xhci_trb t;
	uint64_t at;

	if (ep->state != FAKE_EP_RUNNING)
		return XHCI_CC_CONTEXT_STATE;
	if (fake_ring_next(&r, &t, &at))
		fake_event(at, XHCI_CC_STOPPED << 24 | (t.status & 0x1ffffu),
			   XHCI_TRB_TYPE(XHCI_EV_TRANSFER) | XHCI_TRB_SLOT(slot) |
				   XHCI_TRB_EP(dci));
	fake_ep_state(slot, dci, FAKE_EP_STOPPED);
	ep->rung = false;
	return XHCI_CC_SUCCESS;
}

static uint8_t fake_dequeue(unsigned int slot, unsigned int dci, uint64_t to)
{
	if (fake.slot[slot].ep[dci].state != FAKE_EP_STOPPED)
		return XHCI_CC_CONTEXT_STATE;
	fake_must((to & 0xeu) == 0);
	fake.slot[slot].ep[dci].ring = (struct fake_ring){.at = to & ~0xfull,
							       .cycle = to & XHCI_TRB_CYCLE};
	return XHCI_CC_SUCCESS;
}

static uint8_t fake_ep_command(const struct xhci_trb *t, unsigned int slot)
{
	unsigned int dci = XHCI_TRB_EP_OF(t->control);

	fake_must(fake.slot[slot].ep[dci].state != FAKE_EP_DISABLED);
	switch (XHCI_TRB_TYPE_OF(t->control)) {
	case XHCI_STOP_ENDPOINT:
		return fake_stop(slot, dci);
	case XHCI_SET_DEQUEUE:
		return fake_dequeue(slot, dci, t->param);
	default:
		if (fake.slot[slot].ep[dci].state != FAKE_EP_HALTED)
			return XHCI_CC_CONTEXT_STATE;
		fake_ep_state(slot, dci, FAKE_EP_STOPPED);
		fake.slot[slot].ep[dci].rung = false;
		return XHCI_CC_SUCCESS;
	}
}

static uint8_t fake_slot_command(const struct xhci_trb *t, unsigned int slot)
{
	fake_must(slot >= 1 && slot <= FAKE_SLOTS && fake.slot[slot].enabled);
	if (slot > FAKE_SLOTS || !fake.slot[slot].enabled || !fake_device(slot))
		return XHCI_CC_SLOT_NOT_ENABLED;
	switch (XHCI_TRB_TYPE_OF(t->control)) {
	case XHCI_ADDRESS_DEVICE:
		return fake_address(slot, t->param);
	case XHCI_CONFIGURE_ENDPOINT:
		return fake_configure(slot, t->param);
	case XHCI_EVALUATE_CONTEXT:
		return fake_evaluate(slot, t->param);
	case XHCI_DISABLE_SLOT:
		return XHCI_CC_SUCCESS;
	default:
		return fake_ep_command(t, slot);
	}
}

static unsigned int fake_slot_enable(void)
{
	unsigned int slot = 1;

	while (slot <= FAKE_SLOTS && fake.slot[slot].enabled)
		slot++;
	if (slot <= FAKE_SLOTS)
		fake.slot[slot].enabled = true;
	return fake.answer_slot ? fake.answer_slot : fake.answer_zero ? 0 : slot;
}

static void fake_command_turn(void)
{
	struct xhci_trb t;
	uint64_t at;

	while (fake.command_rung && fake_ring_next(&fake.command, &t, &at)) {
		unsigned int type = XHCI_TRB_TYPE_OF(t.control), slot = XHCI_TRB_SLOT_OF(t.control);
		uint8_t code = fake.answer[type];

		fake.commands[type]++;
		if (fake.silent)
			continue;
		if (type == XHCI_ENABLE_SLOT)
			slot = fake_slot_enable();
		else if (code == 0)
			code = fake_slot_command(&t, slot);
		if (type == XHCI_DISABLE_SLOT && slot <= FAKE_SLOTS) /* whatever it says */
			memset(&fake.slot[slot], 0, sizeof(fake.slot[slot]));
		fake_event(at, (uint32_t)(code ? code : XHCI_CC_SUCCESS) << 24,
			   XHCI_TRB_TYPE(XHCI_EV_COMMAND) | XHCI_TRB_SLOT(slot));
	}
	fake.command_rung = false;
}

/* --- transfers (4.10, 4.11) --- */

struct fake_at {
	unsigned int slot, dci;
	struct fake_ep *ep;
};

static void fake_xfer_event(const struct fake_at *a, uint64_t at, uint8_t code, uint32_t left)
{
	fake_event(at, (uint32_t)code << 24 | left,
		   XHCI_TRB_TYPE(XHCI_EV_TRANSFER) | XHCI_TRB_SLOT(a->slot) | XHCI_TRB_EP(a->dci));
	if (code == XHCI_CC_SUCCESS || code == XHCI_CC_SHORT)
		return;
	fake_ep_state(a->slot, a->dci, FAKE_EP_HALTED);
}

static uint32_t fake_len(const struct xhci_trb *t)
{
	return t->status & 0x1ffffu;
}

/* 4.11.2.4, 6.4.1: what stands in blocks of data. */
static void fake_td_check(const struct fake_td *td, const struct fake_ep *ep)
{
	uint32_t all = 0, sum = 0;

	for (unsigned int i = 0; i < td->count; i++)
		all += fake_len(&td->t[i]);
	for (unsigned int i = 0; i < td->count; i++) {
		const struct xhci_trb *t = &td->t[i];
		uint32_t packets = (all + ep->packet - 1u) / ep->packet;

		sum += fake_len(t);
		fake_must(t->param % XHCI_TRB_BYTES + fake_len(t) <= XHCI_TRB_BYTES);
		fake_must((t->status >> 17 & 31u) ==
			  (i + 1 == td->count ? 0 : MIN(packets - sum / ep->packet, 31u)));
		fake_must((t->status >> 22) == 0); /* interrupter 0 */
	}
}

static void fake_move(const struct xhci_trb *t, uint8_t *data, uint32_t n, bool in)
{
	if (!fake.strict || n == 0)
		return; /* memory may not be the driver's any more when it was lied to */
	if (in)
		memcpy(fake_memory(t->param), data, n);
	else
		memcpy(data, fake_memory(t->param), n);
}

/* A stage or transfer with data: its blocks, until it ends well, early, or not at all. */
static void fake_data(const struct fake_at *a, const struct fake_td *td, uint8_t *data,
		      uint32_t room, bool in)
{
	uint32_t done = 0, gives = in ? MIN(fake_usb.gives, room) : room;
	uint8_t fails = a->dci == 1 && fake_usb.fails_at == FAKE_AT_STATUS ? 0 :
			fake_usb.fails[a->dci];

	fake_td_check(td, a->ep);
	for (unsigned int i = 0; i < td->count; i++) {
		const struct xhci_trb *t = &td->t[i], *last = &td->t[td->count - 1];
		uint32_t len = fake_len(t), n = MIN(len, gives - done);

		fake_must(done + n <= room);
		if (fails && i == MIN(fake_usb.fails_at, td->count - 1)) {
			fake_usb.fails[a->dci] = 0;
			fake_xfer_event(a, td->at[i], fails, len);
			return;
		}
		fake_move(t, data + done, n, in);
		done += n;
		if (n < len) {
			if (t->control & (XHCI_TRB_ISP | XHCI_TRB_IOC))
				fake_xfer_event(a, td->at[i], XHCI_CC_SHORT, len - n);
			if (t != last && fake_usb.two_events && (last->control & XHCI_TRB_IOC))
				fake_xfer_event(a, td->at[td->count - 1], XHCI_CC_SHORT,
						fake_len(last));
			return;
		}
		if (t->control & XHCI_TRB_IOC)
			fake_xfer_event(a, td->at[i], XHCI_CC_SUCCESS, 0);
	}
}

static void fake_setup(const struct xhci_trb *t)
{
	bool in;
	uint32_t trt;

	memcpy(&fake_usb.setup, &t->param, sizeof(fake_usb.setup));
	in = fake_usb.setup.type & USB_REQ_IN;
	trt = fake_usb.setup.length == 0 ? 0 : in ? XHCI_TRB_TRT_IN : XHCI_TRB_TRT_OUT;
	fake_must((t->control & XHCI_TRB_IDT) && fake_len(t) == 8 &&
		  (t->control & 3u << 16) == trt);
}

/* One stage of a control transfer. */
static void fake_stage(const struct fake_at *a, const struct fake_td *td)
{
	const struct xhci_trb *t = td->t;
	bool in = fake_usb.setup.type & USB_REQ_IN;

	switch (XHCI_TRB_TYPE_OF(t->control)) {
	case XHCI_SETUP:
		fake_setup(t);
		break;
	case XHCI_DATA:
		fake_must(!(t->control & XHCI_TRB_DIR_IN) == !in);
		fake_data(a, td, fake_usb.control, fake_usb.setup.length, in);
		break;
	default:
		fake_must(XHCI_TRB_TYPE_OF(t->control) == XHCI_STATUS);
		fake_must(!(t->control & XHCI_TRB_DIR_IN) == (in && fake_usb.setup.length));
		fake_xfer_event(a, td->at[0],
				fake_usb.fails[1] ? fake_usb.fails[1] : XHCI_CC_SUCCESS, 0);
		fake_usb.fails[1] = 0;
		fake_usb.tds[1]++;
		break;
	}
}

static void fake_ep_turn(const struct fake_at *a)
{
	struct fake_td td;

	if (a->ep->rung && a->ep->state == FAKE_EP_STOPPED)
		fake_ep_state(a->slot, a->dci, FAKE_EP_RUNNING);
	while (a->ep->rung && a->ep->state == FAKE_EP_RUNNING && !fake_usb.busy[a->dci]) {
		if (!fake_td_next(a->ep, &td)) {
			a->ep->rung = false;
			return;
		}
		if (a->dci == 1) {
			fake_stage(a, &td);
			continue;
		}
		fake_must(XHCI_TRB_TYPE_OF(td.t[0].control) == XHCI_NORMAL);
		fake_usb.tds[a->dci]++;
		fake_data(a, &td, fake_usb.data, FAKE_DATA_LEN,
			  a->dci % 2 == 1);
	}
}

/* --- turns --- */

static void fake_xhci_turn(void)
{
	if (fake.gone)
		return;
	fake_bios_turn();
	fake_delays_turn();
	fake_level();
	if (!fake_running() || !fake_master)
		return;
	fake_command_turn();
	for (unsigned int slot = 1; slot <= FAKE_SLOTS; slot++) {
		for (unsigned int dci = 1; dci < XHCI_DCI_MAX; dci++) {
			struct fake_at a = {slot, dci, &fake.slot[slot].ep[dci]};

			if (a.ep->state != FAKE_EP_DISABLED && fake_device(slot))
				fake_ep_turn(&a);
		}
	}
	fake_interrupt();
}

static bool fake_xhci_over;

static void fake_xhci_thread(void *arg)
{
	void (*look)(void) = arg;

	while (!fake_xhci_over) {
		look();
		fake_xhci_turn();
		fake_now += fake.turn_ns;
		thread_yield();
	}
}

/* @look  called before each of the controller's turns */
static struct thread *fake_xhci_begin(void (*look)(void))
{
	const struct thread_attr attr = {.cpu = -1};
	struct thread *t;
	int err;

	fake_xhci_init();
	memset(&fake_usb, 0, sizeof(fake_usb));
	fake_usb.gives = UINT32_MAX;
	fake_xhci_over = false;
	err = thread_create(&t, "controller", fake_xhci_thread, (void *)look, &attr);
	assert(err == 0);
	return t;
}

static void fake_xhci_end(struct thread *t)
{
	fake_xhci_over = true;
	thread_join(t);
}

#endif
