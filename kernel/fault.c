/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/fault.h"

#include "kernel/arch/cpu.h"
#include "kernel/arch/image.h"
#include "kernel/arch/trap.h"
#include "kernel/panic.h"

/* SDM vol. 3 table 6-1. */
static const char *const exception_names[TRAP_FIRST_IRQ] = {
	[0] = "divide error",
	[1] = "debug exception",
	[2] = "NMI nobody claimed",
	[3] = "breakpoint",
	[4] = "overflow",
	[5] = "bound range exceeded",
	[6] = "invalid opcode",
	[7] = "device not available",
	[8] = "double fault",
	[10] = "invalid TSS",
	[11] = "segment not present",
	[12] = "stack-segment fault",
	[13] = "general protection",
	[14] = "page fault",
	[16] = "x87 floating-point error",
	[17] = "alignment check",
	[18] = "machine check",
	[19] = "SIMD floating-point exception",
	[20] = "virtualization exception",
	[21] = "control protection exception",
	[28] = "hypervisor injection exception",
	[29] = "VMM communication exception",
	[30] = "security exception",
};

/* Page-fault error code, SDM vol. 3 fig. 4-12. */
#define PF_PRESENT (1u << 0)
#define PF_WRITE   (1u << 1)
#define PF_RSVD    (1u << 3)
#define PF_FETCH   (1u << 4)

bool stack_readable(uint64_t addr)
{
	uint64_t lo = (uint64_t)(uintptr_t)boot_stacks;
	uint64_t hi = (uint64_t)(uintptr_t)boot_stacks_end;

	return addr >= lo && addr <= hi - 16;
}

static const char *page_fault_kind(uint64_t error)
{
	if (error & PF_RSVD)
		return "reserved bit set in the page tables";
	if (error & PF_FETCH)
		return "execution";
	return error & PF_WRITE ? "write" : "read";
}

void trap_fatal(const struct trap_frame *tf)
{
	const char *name;

	if (!tf)
		panic("machine check or NMI nobody claimed");
	name = tf->vector < TRAP_FIRST_IRQ ? exception_names[tf->vector] : NULL;
	if (tf->vector == TRAP_PF)
		panic_trap(tf, "page fault: %s of %016lx, %s", page_fault_kind(tf->error),
			   cr2_read(), tf->error & PF_PRESENT ? "not permitted" : "not mapped");
	panic_trap(tf, "%s, error 0x%lx", name ? name : "reserved exception", tf->error);
}
