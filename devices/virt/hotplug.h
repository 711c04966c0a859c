/* SPDX-License-Identifier: Apache-2.0 */
/* Telling a guest's ACPI that devices come and go. Locking and registers: hotplug.c. */
#ifndef RAYOS_DEVICES_VIRT_HOTPLUG_H
#define RAYOS_DEVICES_VIRT_HOTPLUG_H

#include "kernel/lib/types.h"

struct vm;

/** The thread that takes away what guests let go. Context: init, once. 0 or -RAY_ENOMEM. */
int __must_check vhotplug_init(void);
/** There is a card in a slot. Context: vm->lock, the VM is up. */
void vhotplug_plugged(struct vm *vm, unsigned int slot);
/** A card is gone from some slot, and the guest was not asked. Context: as above. */
void vhotplug_pulled(struct vm *vm);
/**
 * Ask the guest for the device in a slot; it answers when it likes. Context: vm->lock, the VM
 * is up. Returns: false: it does not listen for such events.
 */
bool vhotplug_want(struct vm *vm, unsigned int slot);
/** Take away what the guest has let go: the thread's work. Context: thread, no locks. */
void vhotplug_eject(struct vm *vm);

#endif
