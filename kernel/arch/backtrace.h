/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the frame-pointer chain. Reads only memory it is told is a stack.
 */
#ifndef RAYOS_KERNEL_ARCH_BACKTRACE_H
#define RAYOS_KERNEL_ARCH_BACKTRACE_H

#include "kernel/lib/types.h"

/**
 * Collect return addresses from frame pointer @rbp outward.
 * @pcs, @max   where to put them
 * @readable    says whether 16 bytes at an address can be read without a fault
 * Context: any, NMI included. Returns: how many.
 * Trust:   the stack may be damaged: every frame must lie above the one before it
 */
size_t backtrace_walk(uint64_t rbp, uint64_t *pcs, size_t max, bool (*readable)(uint64_t addr));

/** Frame pointer of the caller. */
static inline __attribute__((always_inline)) uint64_t frame_pointer(void)
{
	return (uint64_t)(uintptr_t)__builtin_frame_address(0);
}

#endif
