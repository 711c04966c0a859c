// SPDX-License-Identifier: Apache-2.0
/* One slot for plugging: its registers and states. */
#include "kernel/pci/slot.h"

#define LOG_TAG "pci"
#include "kernel/log.h"
#include "kernel/pci/pci_priv.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define MS 1000000ull
/* 6.7.1.5: so long a press of the button can be taken back. */
#define BUTTON_NS  (5000 * MS)
#define COMMAND_NS (1000 * MS) /* 6.7.3.2 */
#define LINK_NS    (1000 * MS)
#define SETTLE_NS  (100 * MS)  /* 6.6.1: from the link's being up to the first request */
#define ANSWER_NS  (1000 * MS) /* 6.6.1: so long a card may ask for patience */
#define POLL_NS    (10 * MS)
/* All of the status that stays until it is cleared. */
#define EVENTS (PCI_EXP_SLTSTA_BUTTON | PCI_EXP_SLTSTA_FAULT | PCI_EXP_SLTSTA_CARD_CHANGED | \
		PCI_EXP_SLTSTA_DONE | PCI_EXP_SLTSTA_LINK_CHANGED)
#define LOOKS_MAX 16u /* of a status that does not come to rest */

const char *slot_state_name(enum slot_state state)
{
	static const char *const names[] = {
		[SLOT_EMPTY] = "empty", [SLOT_OFF] = "off", [SLOT_ON] = "on", [SLOT_ENDING] = "ending"};

	return names[state];
}

static uint16_t status(const struct pci_slot *s)
{
	return pci_read16(s->port, s->cap + PCI_EXP_SLTSTA);
}

/* What has happened since; from now on more of it interrupts again (6.7.3.4). */
static uint16_t events_take(const struct pci_slot *s)
{
	uint16_t all = 0;

	for (unsigned int i = 0; i < LOOKS_MAX; i++) {
		uint16_t now = status(s);

		if (now == UINT16_MAX || (now & EVENTS) == 0)
			break;
		all |= now & EVENTS;
		pci_write16(s->port, s->cap + PCI_EXP_SLTSTA, now & EVENTS);
	}
	return all;
}

/* Wait for a bit of a register of the port's. False: it did not come. */
static bool bit_wait(const struct pci_slot *s, unsigned int off, uint16_t bit, uint64_t ns)
{
	uint64_t end = time_now() + ns;

	while (!(pci_read16(s->port, s->cap + off) & bit)) {
		if (time_now() >= end)
			return false;
		thread_sleep_until(time_now() + POLL_NS);
	}
	return true;
}

/* A write to the control register is a command: the next waits until it is done (6.7.3.2). */
static void control(const struct pci_slot *s, uint16_t clear, uint16_t set)
{
	unsigned int off = s->cap + PCI_EXP_SLTCTL;
	bool done = true;

	pci_write16(s->port, s->cap + PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_DONE);
	pci_write16(s->port, off, (uint16_t)((pci_read16(s->port, off) & ~clear) | set));
	if (!(s->caps & PCI_EXP_SLTCAP_NO_DONE))
		done = bit_wait(s, PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_DONE, COMMAND_NS);
	if (!done)
		log_warn("a slot does not answer: port=" PCI_BDF_FMT, PCI_BDF_ARGS(s->port->bdf));
}

static void light(const struct pci_slot *s, uint16_t how)
{
	if (s->caps & PCI_EXP_SLTCAP_LED)
		control(s, PCI_EXP_SLTCTL_LED, how);
}

static bool link_told(const struct pci_slot *s)
{
	return (pci_read32(s->port, s->cap + PCI_EXP_LNKCAP) & PCI_EXP_LNKCAP_ACTIVE) != 0;
}

bool slot_has_card(const struct pci_slot *s)
{
	/* Some slots do not see the card, only that somebody is at the other end of the link. */
	return (status(s) & PCI_EXP_SLTSTA_CARD) ||
	       (link_told(s) &&
		(pci_read16(s->port, s->cap + PCI_EXP_LNKSTA) & PCI_EXP_LNKSTA_ACTIVE));
}

static void power_off(struct pci_slot *s, enum slot_state state)
{
	if (s->caps & PCI_EXP_SLTCAP_POWER)
		control(s, 0, PCI_EXP_SLTCTL_OFF);
	light(s, PCI_EXP_SLTCTL_LED_OFF);
	s->state = state;
}

/* Is there somebody who says who he is? */
static bool answers(const struct pci_slot *s)
{
	pci_bdf_t first = PCI_BDF(s->port->secondary, 0, 0);
	uint64_t end = time_now() + ANSWER_NS;

	for (;;) {
		uint16_t vendor = pci_acc_read16(s->port->acc, first, PCI_VENDOR_ID);

		/* 1: "not yet" (2.3.2). */
		if (vendor != UINT16_MAX && vendor != 1)
			return true;
		if (time_now() >= end)
			return false;
		thread_sleep_until(time_now() + POLL_NS);
	}
}

static void bring_up(struct pci_slot *s)
{
	unsigned int functions = 0;

	light(s, PCI_EXP_SLTCTL_LED_BLINK);
	if (s->caps & PCI_EXP_SLTCAP_POWER)
		control(s, PCI_EXP_SLTCTL_OFF, 0);
	if (link_told(s))
		(void)bit_wait(s, PCI_EXP_LNKSTA, PCI_EXP_LNKSTA_ACTIVE, LINK_NS);
	else
		thread_sleep_until(time_now() + LINK_NS);
	thread_sleep_until(time_now() + SETTLE_NS);
	if (answers(s))
		functions = pci_plug(s->port);
	log_info("a card was plugged in: port=" PCI_BDF_FMT " functions=%u", PCI_BDF_ARGS(s->port->bdf),
		 functions);
	if (functions == 0) {
		power_off(s, SLOT_OFF);
		return;
	}
	light(s, PCI_EXP_SLTCTL_LED_ON);
	s->state = SLOT_ON;
}

static void take_down(struct pci_slot *s, const char *why)
{
	log_info("a card goes: port=" PCI_BDF_FMT " %s", PCI_BDF_ARGS(s->port->bdf), why);
	pci_unplug(s->port);
	power_off(s, slot_has_card(s) ? SLOT_OFF : SLOT_EMPTY);
}

static bool is_up(const struct pci_slot *s)
{
	return s->state == SLOT_ON || s->state == SLOT_ENDING;
}

static void button(struct pci_slot *s)
{
	if (s->state == SLOT_ON) {
		s->state = SLOT_ENDING;
		s->end_at = time_now() + BUTTON_NS;
		light(s, PCI_EXP_SLTCTL_LED_BLINK);
	} else if (s->state == SLOT_ENDING) {
		s->state = SLOT_ON;
		light(s, PCI_EXP_SLTCTL_LED_ON);
	}
}

static bool wants_off(struct pci_slot *s)
{
	bool eject = __atomic_exchange_n(&s->eject, false, __ATOMIC_ACQ_REL);

	return eject || (s->state == SLOT_ENDING && time_now() >= s->end_at);
}

static void look(struct pci_slot *s, uint16_t events)
{
	const uint16_t changes = PCI_EXP_SLTSTA_CARD_CHANGED | PCI_EXP_SLTSTA_LINK_CHANGED;
	const uint16_t wakes = PCI_EXP_SLTSTA_CARD_CHANGED | PCI_EXP_SLTSTA_BUTTON;
	bool card = slot_has_card(s);

	/* Whatever is there now is not what was there before, or has forgotten who it was. */
	if (is_up(s) && (!card || (events & changes)))
		take_down(s, "pulled");
	else if (is_up(s) && wants_off(s))
		take_down(s, "put away");
	else if (is_up(s) && (events & PCI_EXP_SLTSTA_BUTTON))
		button(s);
	else if (s->state == SLOT_OFF && !card)
		s->state = SLOT_EMPTY;
	card = slot_has_card(s);
	/* That the link goes when its power does is no reason to give it power. */
	if (card && (s->state == SLOT_EMPTY || (s->state == SLOT_OFF && (events & wakes)))) {
		bring_up(s);
		/* Its coming up is none of what happens to it. */
		(void)events_take(s);
	}
}

uint64_t slot_serve(struct pci_slot *s)
{
	uint16_t events = events_take(s);

	if (events & PCI_EXP_SLTSTA_FAULT)
		log_err("a slot's power failed: port=" PCI_BDF_FMT, PCI_BDF_ARGS(s->port->bdf));
	look(s, events);
	if (s->state == SLOT_ENDING)
		return s->end_at;
	return UINT64_MAX;
}

void slot_listen(const struct pci_slot *s)
{
	uint16_t on = PCI_EXP_SLTCTL_CARD | PCI_EXP_SLTCTL_LINK | PCI_EXP_SLTCTL_IRQ;

	if (s->caps & PCI_EXP_SLTCAP_BUTTON)
		on |= PCI_EXP_SLTCTL_BUTTON;
	if (s->caps & PCI_EXP_SLTCAP_POWER)
		on |= PCI_EXP_SLTCTL_FAULT;
	control(s, 0, on);
}

static bool populated(const struct pci_dev *port)
{
	const struct pci_dev *d;

	pci_for_each (d) {
		if (d->parent == port)
			return true;
	}
	return false;
}

void slot_init(struct pci_slot *s, struct pci_dev *port)
{
	*s = (struct pci_slot){.port = port, .cap = pci_cap_find(port, PCI_CAP_ID_EXP)};
	s->caps = pci_read32(port, s->cap + PCI_EXP_SLTCAP);
	/* What firmware has seen happen is over. */
	(void)events_take(s);
	if (populated(port))
		s->state = SLOT_ON;
	else
		power_off(s, SLOT_EMPTY);
}
