/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/fault.h"

#include "kernel/arch/cpu.h"
#include "kernel/arch/gdt.h"
#include "kernel/arch/image.h"
#include "kernel/arch/percpu.h"
#include "kernel/arch/trap.h"
#include "kernel/mm/kspace.h"
#include "kernel/mm/vmap.h"
#include "kernel/panic.h"
#include "kernel/sched/thread.h"

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

/* How far from RSP a function may touch its frame at once. */
#define STACK_OVERFLOW_REACH KIB(16)

bool stack_readable(uint64_t addr)
{
	return kspace_mapped(addr, 16);
}

/* An access just below a stack that RSP is near. */
static bool is_stack_overflow(const struct trap_frame *tf, uint64_t addr)
{
	uint64_t page = ALIGN_DOWN(addr, PAGE_SIZE);
	uint64_t boot = (uint64_t)(uintptr_t)boot_stacks;
	uint64_t distance = tf->rsp > addr ? tf->rsp - addr : addr - tf->rsp;
	bool guard = vmap_is_guard(addr) || page == boot;

	for (unsigned int i = 0; i < IST_COUNT; i++)
		guard |= page == boot + PAGE_SIZE + BOOT_STACK_SIZE +
					 i * (PAGE_SIZE + IST_STACK_SIZE);
	return guard && distance <= STACK_OVERFLOW_REACH;
}

static const char *current_name(void)
{
	const struct thread *t = this_cpu()->current;

	return t ? thread_name(t) : "boot";
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
	/* A push that meets the guard page cannot push its page fault either. */
	if ((tf->vector == TRAP_PF || tf->vector == TRAP_DF) &&
	    is_stack_overflow(tf, cr2_read()))
		panic_trap(tf, "stack overflow in thread %s", current_name());
	if (tf->vector == TRAP_PF)
		panic_trap(tf, "page fault: %s of %016lx, %s", page_fault_kind(tf->error),
			   cr2_read(), tf->error & PF_PRESENT ? "not permitted" : "not mapped");
	panic_trap(tf, "%s, error 0x%lx", name ? name : "reserved exception", tf->error);
}
