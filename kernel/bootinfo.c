/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/bootinfo.h"

#include <string.h>

#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"
#include "kernel/panic.h"

static struct boot_info kept;

/* Highest physical address + 1 that the architecture can have (SDM vol. 1 sec. 3.3.1). */
#define PHYS_LIMIT (1ull << 52)

static bool blob_sane(const struct boot_blob *b)
{
	return b->size < PHYS_LIMIT && b->addr < PHYS_LIMIT - b->size;
}

/* Whether every byte of the blob lies in entries whose type is in the mask. The entries may
 * be in any order and overlap: from the first byte on, hop to the end of an entry. */
static bool blob_covered(const struct boot_blob *b, const struct boot_mem *map, uint32_t count,
			 uint32_t types)
{
	uint64_t at = b->addr, end;

	if (b->size == 0)
		return true;
	if (!blob_sane(b))
		return false;
	end = b->addr + b->size;
	while (at < end) {
		uint64_t next = at;

		for (uint32_t i = 0; i < count; i++) {
			const struct boot_mem *m = &map[i];

			if (m->type < 32 && (types & (1u << m->type)) && m->base <= at &&
			    at - m->base < m->len && m->len < PHYS_LIMIT)
				next = MAX(next, m->base + m->len);
		}
		if (next == at)
			return false;
		at = next;
	}
	return true;
}

static const char *check_header(const struct boot_info *bi)
{
	if (bi->magic != BOOT_INFO_MAGIC)
		return "no boot_info at the address the loader gave";
	if (bi->version != BOOT_INFO_VERSION)
		return "boot_info has another version than this kernel";
	if (bi->size < sizeof(*bi))
		return "boot_info is smaller than this kernel's";
	if (bi->features & ~BOOT_FEAT_KNOWN)
		return "boot_info has features this kernel does not know";
	if (bi->mem_count == 0 || bi->mem_count > BOOTINFO_MEM_MAX ||
	    bi->mem.size != (uint64_t)bi->mem_count * sizeof(struct boot_mem) ||
	    !blob_sane(&bi->mem) || !IS_ALIGNED(bi->mem.addr, 8))
		return "boot_info has no usable memory map";
	if (bi->kernel_size == 0 || !IS_ALIGNED(bi->kernel_size, PAGE_SIZE) ||
	    !IS_ALIGNED(bi->kernel_phys, SIZE_2M))
		return "boot_info has no sensible kernel image";
	if (bi->entropy_len > BOOT_ENTROPY_MAX)
		return "boot_info entropy is too long";
	return NULL;
}

static const char *check_blobs(const struct boot_info *bi, const struct boot_mem *map)
{
	const uint32_t loader = 1u << BOOT_MEM_LOADER, module = 1u << BOOT_MEM_MODULE;
	const struct boot_blob kernel = { .addr = bi->kernel_phys, .size = bi->kernel_size };
	const struct {
		const char *text;
		const struct boot_blob *blob;
		uint64_t count, size; /* an array of that many, 0: bytes */
		uint64_t max;
		uint64_t feature; /* 0: always valid */
	} list[] = {
		{ "the CPU list lies outside the loader's memory", &bi->cpus, bi->cpu_count,
		  sizeof(struct boot_cpu), BOOTINFO_CPUS_MAX, BOOT_FEAT_CPUS },
		{ "the module list lies outside the loader's memory", &bi->modules,
		  bi->module_count, sizeof(struct boot_module), BOOTINFO_MODULE_MAX, 0 },
		{ "the kernel file lies outside the loader's memory", &bi->kernel_elf, 0, 0, 0,
		  BOOT_FEAT_KERNEL_ELF },
		{ "the EFI map lies outside the loader's memory", &bi->efi_map, 0, 0, 0,
		  BOOT_FEAT_EFI_RT },
		{ "the TCG log lies outside the loader's memory", &bi->tcg_log, 0, 0, 0,
		  BOOT_FEAT_TCG_LOG },
		{ "rayos.conf lies outside the loader's memory", &bi->conf, 0, 0, 0,
		  BOOT_FEAT_CONF },
		{ "the loader's log lies outside the loader's memory", &bi->log, 0, 0, 0, 0 },
	};

	if (!blob_covered(&bi->mem, map, bi->mem_count, loader))
		return "the memory map lies outside the loader's memory";
	if (!blob_covered(&kernel, map, bi->mem_count, 1u << BOOT_MEM_KERNEL))
		return "the kernel image lies outside the kernel's memory";
	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		if (list[i].feature && !(bi->features & list[i].feature))
			continue;
		if (list[i].size != 0 &&
		    (list[i].count > list[i].max ||
		     list[i].blob->size != list[i].count * list[i].size ||
		     !IS_ALIGNED(list[i].blob->addr, 8)))
			return list[i].text;
		if (!blob_covered(list[i].blob, map, bi->mem_count, loader | module))
			return list[i].text;
	}
	return NULL;
}

const char *bootinfo_check(const struct boot_info *bi, const uint8_t *phys)
{
	const char *wrong = check_header(bi);

	if (wrong)
		return wrong;
	return check_blobs(bi, (const struct boot_mem *)(const void *)(phys + bi->mem.addr));
}

void bootinfo_init(struct boot_info *bi)
{
	const char *wrong =
		bootinfo_check(bi, (const uint8_t *)(uintptr_t)bi->phys_map_base);

	if (wrong)
		panic("boot hand-over: %s", wrong);
	kept = *bi;
	memset(bi->seed, 0, sizeof(bi->seed));
}

int bootinfo_seed_take(uint8_t seed[BOOT_SEED_LEN])
{
	if (!(kept.features & BOOT_FEAT_EFI_SEED))
		return -RAY_ENOENT;
	memcpy(seed, kept.seed, BOOT_SEED_LEN);
	memset(kept.seed, 0, sizeof(kept.seed));
	kept.features &= ~BOOT_FEAT_EFI_SEED;
	return 0;
}

static void blob_keep(struct boot_blob *b)
{
	void *copy;

	if (b->size == 0)
		return;
	copy = kmalloc(b->size, MEM_KERNEL);
	if (!copy)
		panic("no memory to keep %lu bytes of the loader's", b->size);
	memcpy(copy, hpa_to_va(HPA(b->addr)), b->size);
	b->addr = va_to_hpa(copy).v;
}

void bootinfo_keep(void)
{
	static const struct {
		size_t offset;
		uint64_t feature; /* 0: always valid */
	} blobs[] = {
		{ offsetof(struct boot_info, cpus), BOOT_FEAT_CPUS },
		{ offsetof(struct boot_info, modules), 0 },
		{ offsetof(struct boot_info, efi_map), BOOT_FEAT_EFI_RT },
		{ offsetof(struct boot_info, tcg_log), BOOT_FEAT_TCG_LOG },
		{ offsetof(struct boot_info, conf), BOOT_FEAT_CONF },
		{ offsetof(struct boot_info, log), 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(blobs); i++) {
		struct boot_blob *b = (void *)((uint8_t *)&kept + blobs[i].offset);

		if (blobs[i].feature && !(kept.features & blobs[i].feature))
			*b = (struct boot_blob){ 0 };
		blob_keep(b);
	}
	if (!(kept.features & BOOT_FEAT_CPUS))
		kept.cpu_count = 0;
	kept.mem = (struct boot_blob){ 0 };
	kept.mem_count = 0;
	kept.kernel_elf = (struct boot_blob){ 0 };
	kept.features &= ~BOOT_FEAT_KERNEL_ELF;
	kept.phys_map_base = mm_direct_base;
}

const struct boot_info *bootinfo(void)
{
	return &kept;
}
