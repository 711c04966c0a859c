/* UNIT: kernel/symbols.c */
/* PARSER: kernel/symbols.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * The reader of the kernel's own symbol table over arbitrary files: what it copies to the heap
 * answers as the file did. The first byte makes the n-th allocation fail.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/arch/image.h"
#include "kernel/mm/heap.h"
#include "kernel/symbols.h"

#define LOOKUPS 700u
#define STEP	0x777u

static void *live[2]; /* symbols_keep() allocates these two and keeps them for good */
static unsigned int live_count, fail_at;

void *kmalloc(size_t bytes, enum mem_tag tag)
{
	(void)tag;
	if (fail_at > 0 && --fail_at == 0)
		return NULL;
	if (live_count == ARRAY_SIZE(live))
		abort();
	live[live_count] = calloc(1, bytes);
	return live[live_count++];
}

void *kcalloc(size_t n, size_t size, enum mem_tag tag)
{
	return kmalloc(n * size, tag);
}

void kfree(void *p)
{
	for (unsigned int i = 0; i < live_count; i++)
		if (live[i] == p)
			live[i] = NULL;
	free(p);
}

struct answer {
	char name[16];
	uint64_t offset;
	bool known;
};

static void look_up(struct answer *all)
{
	memset(all, 0, LOOKUPS * sizeof(*all));
	for (unsigned int i = 0; i < LOOKUPS; i++) {
		const char *name = symbols_find(KERNEL_LINK_BASE + i * STEP, &all[i].offset);

		all[i].known = name != NULL;
		if (name)
			strncpy(all[i].name, name, sizeof(all[i].name) - 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct answer file[LOOKUPS], heap[LOOKUPS];
	uint8_t *copy; /* aligned, and its end guarded */

	if (size == 0)
		return 0;
	fail_at = data[0] % 4;
	live_count = 0;
	copy = malloc(--size + 1);
	if (!copy)
		abort();
	memcpy(copy, data + 1, size);
	if (symbols_init(copy, size, 0, LOOKUPS * STEP) == 0) {
		look_up(file);
		if (symbols_keep() == 0) {
			memset(copy, 0xaa, size); /* the loader's memory is someone else's now */
			look_up(heap);
			if (memcmp(file, heap, sizeof(file)) != 0)
				abort();
		}
	}
	free(copy);
	for (unsigned int i = 0; i < live_count; i++)
		free(live[i]);
	return 0;
}
