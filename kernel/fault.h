/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an unexpected exception means: its name, a stack overflow, a wild pointer.
 * Owns: the texts (trap_fatal() in kernel/arch/trap.h) and the view of what is a stack.
 */
#ifndef RAYOS_KERNEL_FAULT_H
#define RAYOS_KERNEL_FAULT_H

#include "kernel/lib/types.h"

/** Whether 16 bytes at @addr lie in a mapped stack. Context: any, NMI included; no locks. */
bool stack_readable(uint64_t addr);

#endif
