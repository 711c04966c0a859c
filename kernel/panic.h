/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Broken host invariants. Stops the other CPUs by NMI, prints registers and a symbolised
 * backtrace, emits RAYOS_PANIC:PANIC, then resets or halts as configured.
 */
#ifndef RAYOS_KERNEL_PANIC_H
#define RAYOS_KERNEL_PANIC_H

#include "kernel/lib/types.h"

struct trap_frame;

enum panic_action { PANIC_RESET, PANIC_HALT };
/** What follows a panic; reset until told otherwise. */
void panic_action_set(enum panic_action a);

/** Let other CPUs be stopped by NMI. Context: init, once. */
void panic_init(void);
/** Whether some CPU is panicking. Context: any. */
bool panic_in_progress(void);

/** Context: any. Does not return. */
void panic(const char *fmt, ...) __printf_fmt(1, 2) __noreturn;
/** The same from an exception, with the registers it found. */
void panic_trap(const struct trap_frame *tf, const char *fmt, ...) __printf_fmt(2, 3) __noreturn;

/* Stays in release builds; never on untrusted data. */
#define ASSERT(c)                                                                                  \
	do {                                                                                       \
		if (__builtin_expect(!(c), 0))                                                     \
			panic("assertion failed: %s at %s:%d", #c, __FILE__, __LINE__);            \
	} while (0)

#ifdef RAYOS_DEBUG
#define ASSERT_SLOW(c) ASSERT(c)
#else
#define ASSERT_SLOW(c) ((void)sizeof(c))
#endif

#endif
