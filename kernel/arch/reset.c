/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/reset.h"

#include "kernel/arch/cpu.h"
#include "kernel/arch/gdt.h"

/* Reset control register of Intel and AMD chipsets: select a hard reset, then trigger it. */
#define PORT_RESET   0xcf9
#define RESET_HARD   0x02
#define RESET_NOW    0x06
#define PORT_KBD_CMD 0x64
#define KBD_PULSE_RESET 0xfe

#define SETTLE_LOOPS 100000u

static void (*reset_hook)(void);

void arch_reset_hook_set(void (*fn)(void))
{
	reset_hook = fn;
}

static void settle(void)
{
	for (unsigned int i = 0; i < SETTLE_LOOPS; i++)
		cpu_relax();
}

void arch_reset_hard(void)
{
	const struct desc_ptr empty = { .limit = 0, .base = 0 };

	irq_disable();
	out8(PORT_RESET, RESET_HARD);
	out8(PORT_RESET, RESET_NOW);
	settle();
	out8(PORT_KBD_CMD, KBD_PULSE_RESET);
	settle();
	/* An exception without an IDT ends in shutdown, which chipsets turn into a reset. */
	__asm__ volatile("lidt %0\n\tud2" : : "m"(empty) : "memory");
	cpu_halt_forever();
}

void arch_reset(void)
{
	irq_disable();
	if (reset_hook) {
		reset_hook();
		settle();
	}
	arch_reset_hard();
}
