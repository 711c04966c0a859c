/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots that cards can be put into and pulled out of while the machine runs (PCIe 5.0, 6.7).
 * Owns: a slot's power, its light, what becomes of its button. Must not know: what is on a card.
 */
#ifndef RAYOS_KERNEL_PCI_SLOT_H
#define RAYOS_KERNEL_PCI_SLOT_H

#include "kernel/lib/list.h"
#include "kernel/pci/pci.h"

enum slot_state {
	SLOT_EMPTY,
	SLOT_OFF,    /* a card that may be pulled: its light is off */
	SLOT_ON,
	SLOT_ENDING, /* its button was pressed; pressed once more it stays */
};

struct pci_slot {
	struct list_head node;
	struct pci_dev *port;
	unsigned int cap; /* of PCI Express, in the port */
	uint32_t caps;    /* PCI_EXP_SLTCAP */
	enum slot_state state;
	bool polled;      /* it has no interrupt of its own */
	bool eject;       /* atomic: an operator wants it off */
	uint64_t end_at;  /* SLOT_ENDING: nanoseconds */
};

extern struct list_head pci_slots;

/** A slot of a port, as it was found. Pre: the port has one that is for plugging. */
void slot_init(struct pci_slot *s, struct pci_dev *port);
/**
 * Do what is to be done about it.
 * Returns: when it wants to be asked again, UINT64_MAX: at its next interrupt. Context: thread;
 *          takes seconds when a card comes or goes
 */
uint64_t slot_serve(struct pci_slot *s);
/** Have it ask for interrupts. */
void slot_listen(const struct pci_slot *s);
/** Is there something in it? */
bool slot_has_card(const struct pci_slot *s);
const char *slot_state_name(enum slot_state state);

/* slots.c */
/** Have the thread look at the slots now. Context: any. */
void slots_wake(void);

#endif
