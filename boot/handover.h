/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jump into the kernel.
 * Owns: CPU state at kernel entry. The code is copied to a page that both the firmware's and
 * the new page tables map at its physical address, so it must not refer to itself.
 */
#ifndef RAYOS_BOOT_HANDOVER_H
#define RAYOS_BOOT_HANDOVER_H

#include <stdint.h>

extern const uint8_t handover_code[], handover_code_end[];

/**
 * The copied code's type.
 * @info   virtual address of boot_info in the new tables
 * @entry  the kernel's entry point
 * @cr3    the new tables
 * @stack  virtual address of the stack's end, 16-byte aligned
 * Context: BSP, after ExitBootServices; does not return
 */
typedef void handover_fn(uint64_t info, uint64_t entry, uint64_t cr3, uint64_t stack);

#endif
