/* UNIT: kernel/bootinfo.c */
/* PARSER: kernel/bootinfo.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * The hand-over's checks: what passes must point only into its own memory, so every blob is
 * read to its end and kept. Physical memory is the input itself, the structure at address 0.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/bootinfo.h"
#include "kernel/mm/page.h"
#include "tests/host/fake_heap.h"

uint64_t mm_direct_base;

void panic(const char *fmt, ...)
{
	(void)fmt;
	abort();
}

hpa_t va_to_hpa(const void *va)
{
	return HPA((uint64_t)(uintptr_t)va - mm_direct_base);
}

/* The loader maps all it lists; the input is that much memory and no more. */
static int map_fits(const struct boot_info *bi, const uint8_t *phys, size_t size)
{
	const struct boot_mem *m;

	if (bi->mem.addr > size || bi->mem.size > size - bi->mem.addr ||
	    !IS_ALIGNED(bi->mem.addr, 8))
		return 0;
	m = (const void *)(phys + bi->mem.addr);
	for (uint64_t i = 0; i < bi->mem.size / sizeof(*m); i++)
		if ((m[i].type == BOOT_MEM_LOADER || m[i].type == BOOT_MEM_MODULE) &&
		    (m[i].base > size || m[i].len > size - m[i].base))
			return 0;
	return 1;
}

static volatile uint8_t sum;

static void read_all(const uint8_t *p, uint64_t size)
{
	for (uint64_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + p[i]);
}

static void touch(const uint8_t *phys, const struct boot_blob *b)
{
	if (b->size > 0) /* else its address may be anything */
		read_all(phys + b->addr, b->size);
}

/* Kept copies lie on the heap: read each to its end, and give it back. */
static void release(const struct boot_blob *b)
{
	if (b->size == 0)
		return;
	read_all(hpa_to_va(HPA(b->addr)), b->size);
	kfree(hpa_to_va(HPA(b->addr)));
}

static void keep(struct boot_info *given)
{
	const struct boot_info *bi = bootinfo();

	bootinfo_init(given);
	bootinfo_keep();
	release(&bi->cpus);
	release(&bi->modules);
	release(&bi->efi_map);
	release(&bi->tcg_log);
	release(&bi->conf);
	release(&bi->log);
	if (fake_heap_live != 0 || bi->mem_count != 0 || bi->kernel_elf.size != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct boot_info *bi;
	uint8_t *phys;

	if (size < sizeof(*bi))
		return 0;
	phys = malloc(size);
	if (!phys)
		abort();
	memcpy(phys, data, size);
	mm_direct_base = (uint64_t)(uintptr_t)phys;
	bi = (void *)phys;
	bi->phys_map_base = mm_direct_base;
	if (map_fits(bi, phys, size) && !bootinfo_check(bi, phys)) {
		touch(phys, &bi->mem);
		touch(phys, &bi->modules);
		touch(phys, &bi->log);
		if (bi->features & BOOT_FEAT_CPUS)
			touch(phys, &bi->cpus);
		if (bi->features & BOOT_FEAT_CONF)
			touch(phys, &bi->conf);
		keep(bi);
	}
	free(phys);
	return 0;
}
