// SPDX-License-Identifier: Apache-2.0
/*
 * Compiler run-time helpers. libgcc itself is not linked: it is built with the red zone and
 * SSE registers. Owns: the __*di2 names. No state; any context.
 */
#include <stdint.h>

int __popcountdi2(int64_t a);

int __popcountdi2(int64_t a)
{
	uint64_t x = (uint64_t)a;

	x -= (x >> 1) & 0x5555555555555555ull;
	x = (x & 0x3333333333333333ull) + ((x >> 2) & 0x3333333333333333ull);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return (int)((x * 0x0101010101010101ull) >> 56);
}
