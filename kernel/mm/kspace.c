/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/mm/kspace.h"

#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/features.h"
#include "kernel/arch/image.h"
#include "kernel/arch/msr_index.h"
#include "kernel/lib/err.h"
#include "kernel/mm/page_priv.h"
#include "kernel/mm/pagetable.h"
#include "kernel/panic.h"

static hpa_t root;
static uint64_t direct_end; /* virtual */
static uint64_t image_phys;

static uint64_t addr_of(const char *p)
{
	return (uint64_t)(uintptr_t)p;
}

static void map_image(const char *from, const char *to, uint64_t attrs)
{
	uint64_t offset = addr_of(from) - addr_of(__kernel_start);

	if (from != to && pt_map(root, addr_of(from), image_phys + offset, (uint64_t)(to - from),
				 attrs, PAGE_SHIFT) != 0)
		panic("no memory for the kernel's page tables");
}

/* .bss holds the boot processor's stacks; the page below each stays out. */
static void map_bss(void)
{
	const char *p = boot_stacks;

	map_image(__bss_start, p, PTE_KERNEL_RW);
	map_image(p + PAGE_SIZE, boot_stack_top, PTE_KERNEL_RW);
	for (p = boot_stack_top; p < boot_stacks_end; p += PAGE_SIZE + IST_STACK_SIZE)
		map_image(p + PAGE_SIZE, p + PAGE_SIZE + IST_STACK_SIZE, PTE_KERNEL_RW);
	map_image(boot_stacks_end, __bss_end, PTE_KERNEL_RW);
}

static void map_direct(const struct memmap *m, uint64_t base)
{
	unsigned int shift = cpu_features()->page_1g ? 30 : 21;

	for (uint32_t i = 0; i < m->count; i++) {
		uint64_t at = m->r[i].base, len = m->r[i].len;

		/* The image has its own mapping; a writable alias would undo W^X. */
		if (!memmap_type_is_ram(m->r[i].type) || m->r[i].type == BOOT_MEM_KERNEL)
			continue;
		if (pt_map(root, base + at, at, len, PTE_KERNEL_RW, shift) != 0)
			panic("no memory for the direct map");
	}
}

static uint64_t ram_end(const struct memmap *m)
{
	for (uint32_t i = m->count; i > 0; i--)
		if (memmap_type_is_ram(m->r[i - 1].type))
			return m->r[i - 1].base + m->r[i - 1].len;
	return 0;
}

void kspace_init(const struct memmap *m, const struct boot_info *bi, uint64_t random)
{
	uint64_t size = ALIGN_UP(ram_end(m), SIZE_1G);
	uint64_t base = DIRECT_FIRST + random % ((VMAP_FIRST - DIRECT_FIRST - size) / SIZE_1G) *
					       SIZE_1G;

	if (page_alloc(0, PAGE_F_ZERO | PAGE_F_LOW, &root) != 0)
		panic("no memory below 4 GiB for the root page table");
	image_phys = bi->kernel_phys;
	map_image(__text_start, __text_end, PTE_KERNEL_RX);
	map_image(__rodata_start, __rodata_end, PTE_KERNEL_R);
	map_image(__data_start, __data_end, PTE_KERNEL_RW);
	map_bss();
	map_direct(m, base);
	direct_end = base + size;
	cr3_write(root.v);
	kspace_tlb_flush();
	page_rebase(base);
}

hpa_t kspace_root(void)
{
	return root;
}

hpa_t kspace_trampoline_root(hpa_t page)
{
	const size_t half = PAGE_SIZE / 2;
	hpa_t r;

	if (page_alloc(0, PAGE_F_ZERO | PAGE_F_LOW, &r) != 0)
		return HPA(0);
	memcpy((uint8_t *)hpa_to_va(r) + half, (uint8_t *)hpa_to_va(root) + half, half);
	if (pt_map(r, page.v, page.v, PAGE_SIZE, PTE_P | PTE_A, PAGE_SHIFT) != 0) {
		kspace_trampoline_root_free(r);
		return HPA(0);
	}
	return r;
}

void kspace_trampoline_root_free(hpa_t r)
{
	/* One table of each level hangs below entry 0: the page is below 1 MiB. */
	hpa_t table[PT_LEVELS] = { r };
	unsigned int n = 1;

	for (; n < PT_LEVELS; n++) {
		uint64_t e = *(const uint64_t *)hpa_to_va(table[n - 1]);

		if (!(e & PTE_P))
			break;
		table[n] = HPA(e & PTE_ADDR);
	}
	while (n > 0)
		page_free(table[--n], 0);
}

bool kspace_mapped(uint64_t addr, uint64_t len)
{
	uint64_t last = addr + len - 1, pte;
	unsigned int shift;

	if (root.v == 0)
		return addr >= addr_of(__kernel_start) && last < addr_of(__kernel_end);
	for (uint64_t va = ALIGN_DOWN(addr, PAGE_SIZE); va <= last; va += PAGE_SIZE)
		if (addr < DIRECT_FIRST || !pt_walk(root, va, &pte, &shift))
			return false;
	return true;
}

void kspace_tlb_flush(void)
{
	uint64_t cr4 = cr4_read();

	/* Changing PGE drops global entries too (SDM vol. 3 sec. 4.10.4.1). */
	cr4_write(cr4 ^ CR4_PGE);
	cr4_write(cr4);
}

hpa_t va_to_hpa(const void *va)
{
	uint64_t a = (uint64_t)(uintptr_t)va;

	if (a >= mm_direct_base && a < direct_end)
		return HPA(a - mm_direct_base);
	if (a >= addr_of(__kernel_start) && a < addr_of(__kernel_end))
		return HPA(a - addr_of(__kernel_start) + image_phys);
	panic("va_to_hpa of %016lx: neither direct map nor kernel image", a);
}
