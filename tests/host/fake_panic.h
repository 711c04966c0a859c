/* SPDX-License-Identifier: Apache-2.0 */
/*
 * panic() for unit tests. Outside EXPECT_PANIC() it prints its reason and aborts; inside, it
 * returns there. A panic leaves locks held and counters half done, as the real one does:
 * make it the last thing done with the object. Included by one .c of a test.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_PANIC_H
#define RAYOS_TESTS_HOST_FAKE_PANIC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/panic.h"

static jmp_buf *fake_panic_to;
static char fake_panic_reason[256];

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fake_panic_reason, sizeof(fake_panic_reason), fmt, ap);
	va_end(ap);
	if (fake_panic_to)
		longjmp(*fake_panic_to, 1);
	fprintf(stderr, "panic: %s\n", fake_panic_reason);
	abort();
}

#define EXPECT_PANIC(statement)                                                            \
	do {                                                                                   \
		jmp_buf here_;                                                                 \
		fake_panic_to = &here_;                                                        \
		if (setjmp(here_) == 0) {                                                      \
			statement;                                                             \
			fake_panic_to = NULL;                                                  \
			fail_msg("no panic from: %s", #statement);                             \
		}                                                                              \
		fake_panic_to = NULL;                                                          \
	} while (0)

#endif
