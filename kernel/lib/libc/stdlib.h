/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <stdlib.h> of the freestanding kernel: number reading only. Memory comes from kernel/mm,
 * so there is no malloc to reach for by accident. Numbers out of range saturate as in C and
 * are NOT reported (there is no errno); our own code parses with kernel/lib/parse.h.
 */
#ifndef RAYOS_LIBC_STDLIB_H
#define RAYOS_LIBC_STDLIB_H

#include <stddef.h>

long strtol(const char *restrict s, char **restrict end, int base);
long long strtoll(const char *restrict s, char **restrict end, int base);
unsigned long strtoul(const char *restrict s, char **restrict end, int base);
unsigned long long strtoull(const char *restrict s, char **restrict end, int base);
int atoi(const char *s);

static inline int abs(int v)
{
	return v < 0 ? -v : v;
}

#endif
