/* SPDX-License-Identifier: Apache-2.0 */
/* What other layers define once they are there. */
#include "kernel/arch/cpu.h"
#include "kernel/arch/trap.h"
#include "kernel/irq/irq.h"
#include "kernel/panic.h"

__attribute__((weak)) void irq_dispatch(struct trap_frame *tf, unsigned int vector)
{
	panic_trap(tf, "interrupt %u without a handler", vector);
}

__attribute__((weak)) void ipi_nmi_others(void)
{
}
