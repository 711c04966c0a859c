/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page in which another CPU's first instructions lie: from real mode to 64-bit code.
 * Owns: the layout of that page, shared with trampoline.S.
 */
#ifndef RAYOS_KERNEL_ARCH_TRAMPOLINE_H
#define RAYOS_KERNEL_ARCH_TRAMPOLINE_H

/* Data at the end of the page. */
#define TRAMPOLINE_DATA    0xf80
#define TRAMPOLINE_CLAIMED (TRAMPOLINE_DATA + 0x00)
#define TRAMPOLINE_CR3     (TRAMPOLINE_DATA + 0x04)
#define TRAMPOLINE_FAR     (TRAMPOLINE_DATA + 0x08)
#define TRAMPOLINE_GDTR    (TRAMPOLINE_DATA + 0x10)
#define TRAMPOLINE_STACK   (TRAMPOLINE_DATA + 0x18)
#define TRAMPOLINE_ENTRY   (TRAMPOLINE_DATA + 0x20)
#define TRAMPOLINE_ARG     (TRAMPOLINE_DATA + 0x28)
#define TRAMPOLINE_GDT     (TRAMPOLINE_DATA + 0x30)

#ifndef __ASSEMBLY__
#include "kernel/lib/types.h"

struct trampoline_data {
	volatile uint32_t claimed; /* the first CPU to exchange a 1 into it goes on */
	uint32_t cr3;              /* below 4 GiB; maps the page to itself */
	uint32_t far_offset;       /* where 64-bit code begins */
	uint16_t far_selector;
	uint16_t pad;
	uint16_t gdt_limit;
	uint16_t gdt_base[2];      /* unaligned 32 bits */
	uint16_t pad2;
	uint64_t stack;
	uint64_t entry;
	uint64_t arg;
	uint64_t gdt[2];
};
BUILD_ASSERT(offsetof(struct trampoline_data, cr3) == TRAMPOLINE_CR3 - TRAMPOLINE_DATA, "");
BUILD_ASSERT(offsetof(struct trampoline_data, far_offset) == TRAMPOLINE_FAR - TRAMPOLINE_DATA, "");
BUILD_ASSERT(offsetof(struct trampoline_data, gdt_limit) == TRAMPOLINE_GDTR - TRAMPOLINE_DATA, "");
BUILD_ASSERT(offsetof(struct trampoline_data, stack) == TRAMPOLINE_STACK - TRAMPOLINE_DATA, "");
BUILD_ASSERT(offsetof(struct trampoline_data, entry) == TRAMPOLINE_ENTRY - TRAMPOLINE_DATA, "");
BUILD_ASSERT(offsetof(struct trampoline_data, arg) == TRAMPOLINE_ARG - TRAMPOLINE_DATA, "");
BUILD_ASSERT(offsetof(struct trampoline_data, gdt) == TRAMPOLINE_GDT - TRAMPOLINE_DATA, "");

/**
 * Fill the page for the next CPU.
 * @page   the page in the direct map; @phys its physical address, below 1 MiB
 * @cr3    page tables below 4 GiB that map @phys to itself, executable, and @entry
 * @stack  top; @entry is called there with @arg, IRQs off
 */
void trampoline_fill(void *page, uint32_t phys, uint32_t cr3, void *stack,
		     void (*entry)(void *arg), void *arg);

/** Whether a CPU has come. */
bool trampoline_claimed(const void *page);
/** From now on nobody gets through. */
void trampoline_close(void *page);
#endif

#endif
