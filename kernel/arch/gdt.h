/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment descriptors, the task-state segment and its interrupt stacks, one set per CPU.
 * Owns: selectors and the layout; each CPU writes only its own set. Knows no threads.
 */
#ifndef RAYOS_KERNEL_ARCH_GDT_H
#define RAYOS_KERNEL_ARCH_GDT_H

#define SEL_KERNEL_CS 0x08
#define SEL_KERNEL_DS 0x10
#define SEL_TSS       0x18

/* Interrupt stack table entries. Faults that may find a broken stack, or come at any time. */
#define IST_DOUBLE_FAULT  1
#define IST_NMI           2
#define IST_MACHINE_CHECK 3
#define IST_COUNT         3

#ifndef __ASSEMBLY__
#include "kernel/lib/types.h"

/* SDM vol. 3 sec. 8.7. */
struct tss {
	uint32_t rsvd0;
	uint64_t rsp[3];
	uint64_t rsvd1;
	uint64_t ist[7];
	uint64_t rsvd2;
	uint16_t rsvd3;
	uint16_t iomap_base;
} __packed;

struct desc_ptr {
	uint16_t limit;
	uint64_t base;
} __packed;

/**
 * Give CPU @id its interrupt stacks. @top holds the highest address of each, IST 1 first.
 * Context: before gdt_load() on that CPU.
 */
void gdt_ist_set(unsigned int id, void *const top[IST_COUNT]);

/** Load GDT, segment registers and task register of CPU @id. Context: that CPU, IRQs off. */
void gdt_load(unsigned int id);

/** Linear addresses for a VMCS host area or the like. */
uint64_t gdt_base(unsigned int id);
uint64_t gdt_tss_base(unsigned int id);
#endif

#endif
