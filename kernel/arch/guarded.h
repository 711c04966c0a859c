/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running code that firmware steers and that may therefore fault: an exception in it ends the
 * call, not the system.
 */
#ifndef RAYOS_KERNEL_ARCH_GUARDED_H
#define RAYOS_KERNEL_ARCH_GUARDED_H

#include "kernel/lib/types.h"

struct trap_frame;

/**
 * Call fn(arg) in this thread. A divide error, invalid opcode, protection or page fault inside
 * it, outside interrupt handlers and with no spinlock held, abandons it. Nothing is undone
 * then: what it held stays held, so the code behind @fn must never be entered again.
 * Up to four threads may be inside; one that already is, just calls.
 * Context: thread, IRQs on, no locks.
 * Returns: whether fn returned by itself.
 */
bool guarded_call(void (*fn)(void *arg), void *arg);

/** Called by the trap handler: whether the fault was contained and @tf leads out of it. */
bool guarded_fault(struct trap_frame *tf);

#endif
