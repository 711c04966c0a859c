/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restarting the machine when nothing can be relied on any more.
 */
#ifndef RAYOS_KERNEL_ARCH_RESET_H
#define RAYOS_KERNEL_ARCH_RESET_H

/** A better way than the ones known here (the ACPI reset register); may return if it failed.
 * Context of the call: any, NMI included. */
void arch_reset_hook_set(void (*fn)(void));

/** Reset: hook, port 0xCF9, keyboard controller, triple fault. Context: any. */
void arch_reset(void) __attribute__((noreturn));

/** The same without the hook, which may be what failed. Context: any. */
void arch_reset_hard(void) __attribute__((noreturn));

#endif
