/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jump into the kernel.
 * Owns: CPU state at kernel entry. Code and data share one page that both the firmware's and
 * the new page tables map at its physical address, below 4 GiB; the code is copied there, so
 * it must not refer to anything outside of it. The assembly includes the offsets.
 */
#ifndef RAYOS_BOOT_HANDOVER_H
#define RAYOS_BOOT_HANDOVER_H

#define HANDOVER_DATA_AT 2048 /* struct handover in the page; the code is in front of it */

#define HANDOVER_INFO  0
#define HANDOVER_ENTRY 8
#define HANDOVER_CR3   16
#define HANDOVER_STACK 24
#define HANDOVER_FAR   32
#define HANDOVER_GDTR  40

#define HANDOVER_CS64 0x08
#define HANDOVER_CS32 0x10
#define HANDOVER_DS   0x18

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

#include "kernel/lib/types.h"

struct handover {
	uint64_t info;  /* virtual address of boot_info in the new tables */
	uint64_t entry; /* the kernel's entry point */
	uint64_t cr3;   /* the new tables */
	uint64_t stack; /* virtual address of the stack's end, 16-byte aligned */
	/* For leaving 5-level paging, by way of 32-bit code. */
	uint32_t far_offset;
	uint16_t far_selector;
	uint16_t pad;
	uint16_t gdt_limit;
	uint64_t gdt_base;
	uint16_t pad2[3];
	uint64_t gdt[4];
} __packed;
BUILD_ASSERT(offsetof(struct handover, info) == HANDOVER_INFO, "used by handover.S");
BUILD_ASSERT(offsetof(struct handover, entry) == HANDOVER_ENTRY, "used by handover.S");
BUILD_ASSERT(offsetof(struct handover, cr3) == HANDOVER_CR3, "used by handover.S");
BUILD_ASSERT(offsetof(struct handover, stack) == HANDOVER_STACK, "used by handover.S");
BUILD_ASSERT(offsetof(struct handover, far_offset) == HANDOVER_FAR, "used by handover.S");
BUILD_ASSERT(offsetof(struct handover, gdt_limit) == HANDOVER_GDTR, "used by handover.S");
BUILD_ASSERT(offsetof(struct handover, gdt) % 8 == 0, "descriptors are aligned");

extern const uint8_t handover_code[], handover_code64[], handover_code_end[];

/**
 * The copied code's type; @h is the structure in the same page.
 * Context: BSP, after ExitBootServices; does not return
 */
typedef void handover_fn(const struct handover *h);

#endif

#endif
