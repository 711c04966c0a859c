/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the loader, see mem.h. */
#include "boot/mem.h"

#include <string.h>

#include "boot/efi.h"
#include "kernel/lib/err.h"

static struct boot_mem own[MEM_OWN_MAX];
static uint32_t own_count;

static void pages_free(uint64_t addr, uint64_t size)
{
	if (size > 0)
		(void)efi_bs->FreePages(addr, size / PAGE_SIZE);
}

static int alloc(enum boot_mem_type type, EFI_MEMORY_TYPE efi_type, uint64_t size, uint64_t align,
		 uint64_t *addr)
{
	uint64_t limit = *addr;
	uint64_t slack = align - PAGE_SIZE;
	EFI_PHYSICAL_ADDRESS base = limit;
	EFI_ALLOCATE_TYPE how = limit == MEM_ANYWHERE ? AllocateAnyPages : AllocateMaxAddress;

	size = MAX(size, PAGE_SIZE);
	if (size > UINT64_MAX / 2)
		return -RAY_ENOMEM;
	size = ALIGN_UP(size, PAGE_SIZE);
	if (own_count == MEM_OWN_MAX)
		return -RAY_ENOSPC;
	if (EFI_ERROR(efi_bs->AllocatePages(how, efi_type, (size + slack) / PAGE_SIZE, &base)))
		return -RAY_ENOMEM;
	*addr = ALIGN_UP(base, align);
	pages_free(base, *addr - base);
	pages_free(*addr + size, base + slack - *addr);
	own[own_count++] = (struct boot_mem){.base = *addr, .len = size, .type = type};
	return 0;
}

int mem_alloc(enum boot_mem_type type, uint64_t size, uint64_t align, uint64_t limit,
	      uint64_t *addr)
{
	*addr = limit;
	return alloc(type, EfiLoaderData, size, align, addr);
}

int mem_alloc_code_page(uint64_t *addr)
{
	*addr = MEM_BELOW_4G;
	return alloc(BOOT_MEM_LOADER, EfiLoaderCode, PAGE_SIZE, PAGE_SIZE, addr);
}

int mem_alloc_zeroed(uint64_t size, uint64_t *addr)
{
	int err = mem_alloc(BOOT_MEM_LOADER, size, PAGE_SIZE, MEM_BELOW_4G, addr);

	if (err)
		err = mem_alloc(BOOT_MEM_LOADER, size, PAGE_SIZE, MEM_ANYWHERE, addr);
	if (!err)
		memset(mem_ptr(*addr), 0, ALIGN_UP(size, PAGE_SIZE));
	return err;
}

void mem_free(uint64_t addr)
{
	for (uint32_t i = 0; i < own_count; i++) {
		if (own[i].base != addr)
			continue;
		pages_free(addr, own[i].len);
		own[i] = own[--own_count];
		return;
	}
}

void mem_free_all(void)
{
	while (own_count > 0)
		mem_free(own[own_count - 1].base);
}

const struct boot_mem *mem_owned(uint32_t *count)
{
	*count = own_count;
	return own;
}
