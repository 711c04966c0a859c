// SPDX-License-Identifier: Apache-2.0
/* Owns: where <assert.h> of kernel/lib and of third-party parts ends: in a panic. */
#include <assert.h>

#include "kernel/panic.h"

void __assert_fail(const char *expr, const char *file, unsigned int line, const char *func)
{
	panic("assertion failed: %s at %s:%u in %s", expr, file, line, func);
}
