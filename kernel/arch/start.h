/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the first instruction to the first C function that may use everything.
 * Owns: the stack protector's seed, the boot processor's first descriptor tables.
 */
#ifndef RAYOS_KERNEL_ARCH_START_H
#define RAYOS_KERNEL_ARCH_START_H

#include "kernel/lib/types.h"

struct boot_info;

/** The TSC at the kernel's first instructions. */
extern uint64_t kernel_entry_tsc;

/** Called by entry.S on the boot stack. */
void arch_start(struct boot_info *bi) __noreturn;

/**
 * A number an attacker cannot foresee, another at each call: from the loader's entropy,
 * RDRAND and the time. For placing things; no key material.
 * Context: any. Trust: @bi need not be checked yet
 */
uint64_t arch_entropy(const struct boot_info *bi);

/**
 * The kernel above kernel/arch; implemented by kernel/init.c.
 * @bi  as the loader left it: not checked yet
 * Context: boot processor, IRQs off, own stack, GDT, IDT and per-CPU area; loader's CR3.
 */
void kernel_main(struct boot_info *bi) __noreturn;

#endif
