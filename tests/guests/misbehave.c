/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that does what none should, chosen by the command line:
 *
 *   triple   a fault without an IDT
 *   nowhere  a jump to memory that is not there
 *   spin     a loop with interrupts off
 *   hammer   one unknown port, for ever
 */
#include "guest.h"

#define NOWHERE 0xf0000000ul /* inside the map, outside RAM and devices */
#define UNKNOWN 0x5a5au

static void triple(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none;

	__asm__ volatile("lidt %0; ud2" : : "m"(none));
}

void guest_run(void)
{
	print("MISBEHAVE %s\n", guest_cmdline());
	if (cmdline_has("triple"))
		triple();
	if (cmdline_has("nowhere"))
		((void (*)(void))NOWHERE)();
	if (cmdline_has("spin"))
		for (;;)
			__asm__ volatile("cli" : : : "memory");
	if (cmdline_has("hammer"))
		for (;;)
			outb(UNKNOWN, 0);
	report(false, "a way to misbehave was named");
}
