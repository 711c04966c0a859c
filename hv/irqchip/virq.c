/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt lines: from a device to the inputs of both controllers.
 * Owns: which sources hold a line up. Must not know: devices, CPUs.
 */
#include "hv/irqchip/irqchip_priv.h"

#include "hv/vm.h"
#include "kernel/lib/err.h"

#define ISA_LINES   16u
#define TIMER_LINE  0u
#define CASCADE     2u /* no line of its own; IOAPIC pin 2 is the timer's */

int virq_create(struct vm *vm)
{
	int err = vioapic_create(vm);

	if (err)
		return err;
	err = vpic_create(vm);
	if (err)
		vm->ioapic->dev.ops->destroy(&vm->ioapic->dev);
	return err;
}

void virq_line_set(struct vm *vm, unsigned int gsi, unsigned int source, bool level)
{
	struct vioapic *io = vm->ioapic;
	uint32_t bit = 1u << (source & 31), old, new;
	uint64_t flags;

	if (gsi >= VIRQ_GSI_COUNT || gsi == CASCADE)
		return;
	flags = spin_lock_irqsave(&io->lock);
	old = io->source[gsi];
	new = level ? old | bit : old & ~bit;
	io->source[gsi] = new;
	if (!old != !new) {
		if (gsi < ISA_LINES)
			vpic_line(vm, gsi, new != 0);
		vioapic_line(vm, gsi == TIMER_LINE ? CASCADE : gsi, new != 0);
	}
	spin_unlock_irqrestore(&io->lock, flags);
}
