/* UNIT: kernel/symbols.c */
/* PARSER: kernel/symbols.c */
// SPDX-License-Identifier: Apache-2.0
/* The reader of the kernel's own symbol table over arbitrary files. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/arch/image.h"
#include "kernel/symbols.h"
#include "tests/host/fake_heap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1); /* aligned, and its end guarded */
	uint64_t offset;

	if (!copy)
		abort();
	memcpy(copy, data, size);
	if (symbols_init(copy, size, 0, MIB(1)) == 0)
		for (uint64_t at = 0; at < MIB(1); at += 0x777)
			(void)symbols_find(KERNEL_LINK_BASE + at, &offset);
	free(copy);
	return 0;
}
