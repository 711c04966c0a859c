/* SPDX-License-Identifier: Apache-2.0 */
/* Memory map and ExitBootServices, see exit.h. */
#include "boot/exit.h"

#include "boot/cpu.h"
#include "boot/efi.h"
#include "boot/mem.h"
#include "boot/memmap.h"
#include "kernel/lib/err.h"

/* Descriptors by which the map may grow between asking for its size and the end. */
#define MAP_SLACK 128u
#define TRIES     8

#define BIOS_AREA 0xe0000u

static struct {
	uint64_t buf; /* raw descriptors */
	uint64_t room, size, desc_size;
	UINTN key;
	UINT32 desc_version;
	struct boot_mem *raw; /* the same in the kernel's terms */
	uint32_t raw_count;
	uint64_t *edges;
	uint64_t out;
} map;

/* UEFI 2.10, table 7.10: what each type is after ExitBootServices. */
static enum boot_mem_type type_of(const EFI_MEMORY_DESCRIPTOR *d)
{
	switch (d->Type) {
	case EfiLoaderCode:
	case EfiLoaderData:
	case EfiBootServicesCode:
	case EfiBootServicesData:
	case EfiConventionalMemory:
		/* What cannot be cached is no RAM to run a system in. */
		return (d->Attribute & EFI_MEMORY_WB) != 0 ? BOOT_MEM_RAM : BOOT_MEM_RESERVED;
	case EfiRuntimeServicesCode:
	case EfiRuntimeServicesData:
		return BOOT_MEM_EFI_RT;
	case EfiACPIReclaimMemory:
		return BOOT_MEM_ACPI;
	case EfiACPIMemoryNVS:
		return BOOT_MEM_ACPI_NVS;
	case EfiMemoryMappedIO:
	case EfiMemoryMappedIOPortSpace:
		return BOOT_MEM_MMIO;
	case EfiUnusableMemory:
		return BOOT_MEM_BAD;
	default:
		return BOOT_MEM_RESERVED;
	}
}

static EFI_STATUS map_read(void)
{
	UINTN size = map.room, desc_size = 0;
	EFI_STATUS status = efi_bs->GetMemoryMap(&size, mem_ptr(map.buf), &map.key, &desc_size,
						 &map.desc_version);

	if (EFI_ERROR(status))
		return status;
	if (desc_size < sizeof(EFI_MEMORY_DESCRIPTOR))
		return EFI_DEVICE_ERROR;
	map.size = size;
	map.desc_size = desc_size;
	return EFI_SUCCESS;
}

static uint32_t map_convert(void)
{
	uint32_t n = 0;

	for (uint64_t off = 0; off + map.desc_size <= map.size; off += map.desc_size) {
		const EFI_MEMORY_DESCRIPTOR *d = mem_ptr(map.buf + off);
		uint64_t pages = MIN(d->NumberOfPages, UINT64_MAX >> PAGE_SHIFT);

		map.raw[n++] = (struct boot_mem){
			.base = d->PhysicalStart,
			.len = pages << PAGE_SHIFT,
			.type = type_of(d),
		};
	}
	return n;
}

int exit_prepare(void)
{
	UINTN size = 0, key, desc_size = 0;
	UINT32 version;
	uint64_t entries, room, raw, edges;
	int err;

	(void)efi_bs->GetMemoryMap(&size, NULL, &key, &desc_size, &version);
	if (size == 0 || desc_size < sizeof(EFI_MEMORY_DESCRIPTOR))
		return -RAY_EIO;
	entries = size / desc_size + MAP_SLACK;
	room = MEMMAP_ROOM(entries + MEM_OWN_MAX);
	map.room = entries * desc_size;
	err = mem_alloc_zeroed(map.room, &map.buf);
	if (!err)
		err = mem_alloc_zeroed(entries * sizeof(struct boot_mem), &raw);
	if (!err)
		err = mem_alloc_zeroed(room * sizeof(uint64_t), &edges);
	if (!err)
		err = mem_alloc_zeroed(room * sizeof(struct boot_mem), &map.out);
	if (err)
		return err;
	map.raw = mem_ptr(raw);
	map.edges = mem_ptr(edges);
	return 0;
}

int exit_map_get(const struct boot_mem **out, uint32_t *count)
{
	if (EFI_ERROR(map_read()))
		return -RAY_EIO;
	map.raw_count = map_convert();
	*count = map.raw_count;
	*out = map.raw;
	return 0;
}

static bool inside(uint64_t addr, uint64_t len, uint64_t base, uint64_t size)
{
	return addr >= base && addr - base <= size && len <= size - (addr - base);
}

bool exit_map_covers(uint64_t addr, uint64_t len)
{
	if (inside(addr, len, BIOS_AREA, MIB(1) - BIOS_AREA))
		return true;
	for (uint32_t i = 0; i < map.raw_count; i++) {
		const struct boot_mem *m = &map.raw[i];

		if (m->type != BOOT_MEM_MMIO && inside(addr, len, m->base, m->len))
			return true;
	}
	return false;
}

int exit_boot_services(void *image, struct boot_info *bi)
{
	EFI_STATUS status = EFI_DEVICE_ERROR;
	const struct boot_mem *own;
	uint32_t own_count;

	/* An event handler may allocate between the two calls, which spoils the key. */
	for (int i = 0; i < TRIES && EFI_ERROR(status); i++) {
		status = map_read();
		if (!EFI_ERROR(status))
			status = efi_bs->ExitBootServices(image, map.key);
	}
	if (EFI_ERROR(status))
		return -RAY_EIO;
	bi->tsc_exit = cpu_tsc();
	own = mem_owned(&own_count);
	bi->mem_count =
		memmap_build(map.raw, map_convert(), own, own_count, map.edges, mem_ptr(map.out));
	bi->mem = (struct boot_blob){map.out, bi->mem_count * sizeof(struct boot_mem)};
	bi->efi_systab = (uintptr_t)efi_st;
	bi->efi_map = (struct boot_blob){map.buf, map.size};
	bi->efi_map_desc_size = (uint32_t)map.desc_size;
	bi->efi_map_desc_version = map.desc_version;
	bi->features |= BOOT_FEAT_EFI_RT;
	return 0;
}
