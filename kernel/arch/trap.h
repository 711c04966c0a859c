/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions and the way interrupts enter C.
 * Owns: the trap frame, the IDT, the fix-up table of instructions that may fault. Must not
 * know: what a device interrupt means (irq_dispatch() does).
 */
#ifndef RAYOS_KERNEL_ARCH_TRAP_H
#define RAYOS_KERNEL_ARCH_TRAP_H

#include "kernel/lib/types.h"

/* SDM vol. 3 sec. 6.3.1. */
enum trap_vector {
	TRAP_DE = 0,
	TRAP_DB = 1,
	TRAP_NMI = 2,
	TRAP_BP = 3,
	TRAP_UD = 6,
	TRAP_DF = 8,
	TRAP_SS = 12,
	TRAP_GP = 13,
	TRAP_PF = 14,
	TRAP_MC = 18,
	TRAP_FIRST_IRQ = 32,
};

/* As kernel/arch/trap_entry.S lays it on the stack. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector;
	uint64_t error; /* 0 where the CPU pushes none */
	uint64_t rip, cs, rflags, rsp, ss;
};

/** Fill the IDT. Context: once, boot processor. */
void idt_init(void);
/** Point this CPU at the IDT. Context: IRQs off. */
void idt_load(void);
/** Linear address of the IDT, for a VMCS host area. */
uint64_t idt_base(void);

/**
 * Every vector from TRAP_FIRST_IRQ up. Runs with IRQs off on the interrupted stack.
 * Implemented by the interrupt layer.
 */
void irq_dispatch(struct trap_frame *tf, unsigned int vector);

/** An exception nobody claimed: names it and panics. Implemented by kernel/fault.c. */
void trap_fatal(const struct trap_frame *tf) __noreturn;

/**
 * A handler for NMI or #MC: returns true when the event was its own and the interrupted code
 * may go on; anything unclaimed is a panic.
 * Context: NMI context: no locks, no log, no allocation. @tf is NULL when the hypervisor
 * passes on an event that a guest exit reported.
 */
typedef bool (*trap_nmi_fn)(struct trap_frame *tf);

/** Add a handler; there is room for four of each. Context: init, IRQs on or off. */
void trap_nmi_add(trap_nmi_fn fn);
void trap_mce_add(trap_nmi_fn fn);

/** Handle an NMI or a machine check that arrived as a guest exit. Context: IRQs off. */
void trap_nmi(struct trap_frame *tf);
void trap_mce(struct trap_frame *tf);

/** Whether this CPU handles an NMI or a machine check: locks may be held by what it broke
 * into. Context: any. */
bool trap_in_nmi(void);

/** Fault on purpose and come back through the fix-up table: true, or it never returns. */
bool trap_fixup_works(void);

/** NMIs this CPU has taken. */
uint64_t trap_nmi_count(unsigned int cpu);

#endif
