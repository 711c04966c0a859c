/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switch from one kernel stack to another.
 * Owns: the layout of what a stack holds while its thread does not run.
 */
#ifndef RAYOS_KERNEL_ARCH_SWITCH_H
#define RAYOS_KERNEL_ARCH_SWITCH_H

#include "kernel/lib/types.h"

struct thread;

/**
 * Save the callee-saved registers and the stack pointer in *save_sp, continue on @load_sp.
 * @prev  passed through: what the other side gets as the thread it took over from
 * Context: IRQs off. Returns: the @prev of whoever switches back to this stack.
 */
struct thread *switch_stack(struct thread *prev, uint64_t *save_sp, uint64_t load_sp);

/**
 * Lay out a fresh stack, so that the first switch to it calls thread_begin(prev).
 * @top  16-byte aligned. Returns: the stack pointer to switch to.
 */
uint64_t switch_stack_prepare(void *top);

/** Where a new thread begins; implemented by the scheduler. */
void thread_begin(struct thread *prev) __noreturn;

/**
 * Leave the present stack for good and call fn(arg) at the top of another one.
 * @top  16-byte aligned. Context: IRQs off.
 */
void switch_stack_call(void *top, void (*fn)(void *arg), void *arg) __noreturn;

#endif
