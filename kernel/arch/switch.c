/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/switch.h"

#define SAVED_REGS 6u

void switch_first(void);

uint64_t switch_stack_prepare(void *top)
{
	uint64_t *sp = top;

	/* switch_stack() returns into switch_first with the stack 16-byte aligned. */
	*--sp = (uint64_t)(uintptr_t)switch_first;
	for (unsigned int i = 0; i < SAVED_REGS; i++)
		*--sp = 0;
	return (uint64_t)(uintptr_t)sp;
}
