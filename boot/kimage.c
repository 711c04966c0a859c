/* SPDX-License-Identifier: Apache-2.0 */
/* Loading the kernel image, see kimage.h. */
#include "boot/kimage.h"

#include "boot/con.h"
#include "boot/file.h"
#include "boot/hw.h"
#include "boot/mem.h"
#include "kernel/lib/err.h"

#define SLIDE_WINDOW  MIB(512)
#define DIRECT_BASE   0xffff800000000000ull
#define DIRECT_WINDOW (32ull << 40)

static const char *read_problem(int err)
{
	con_print("error: %s: %s\n", KIMAGE_PATH, ray_strerror(err));
	switch (err) {
	case -RAY_ENOENT:
		return "kernel_missing";
	case -RAY_ENOMEM:
		return "no_memory";
	default:
		return "kernel_unreadable";
	}
}

const char *kimage_read(struct boot_info *bi, struct kimage *k)
{
	struct boot_blob file;
	struct kelf_error e = {0};
	int err = file_load(KIMAGE_PATH, BOOT_MEM_LOADER, &file);

	if (err)
		return read_problem(err);
	err = kelf_parse(mem_ptr(file.addr), file.size, &k->elf, &e);
	if (err) {
		if (e.where != NULL)
			con_print("error: %s: %s %lu: %s (0x%lx)\n", KIMAGE_PATH, e.where, e.index,
				  e.what, e.value);
		else
			con_print("error: %s: %s (0x%lx)\n", KIMAGE_PATH, e.what, e.value);
		return "kernel_damaged";
	}
	bi->kernel_elf = file;
	bi->features |= BOOT_FEAT_KERNEL_ELF;
	return NULL;
}

int kimage_place(struct boot_info *bi, struct kimage *k, bool kaslr)
{
	const struct kelf *elf = &k->elf;
	/* Below the last page of the address space; kelf_parse() keeps images far smaller. */
	uint64_t room = MIN(SLIDE_WINDOW, ALIGN_DOWN(-elf->base - elf->size - PAGE_SIZE, SIZE_2M));
	uint64_t slide = 0, direct = 0, phys;
	int err = mem_alloc(BOOT_MEM_KERNEL, elf->size, SIZE_2M, MEM_BELOW_4G, &phys);

	if (err)
		err = mem_alloc(BOOT_MEM_KERNEL, elf->size, SIZE_2M, MEM_ANYWHERE, &phys);
	if (err)
		return err;
	if (kaslr) {
		slide = rng_below(room / SIZE_2M + 1) * SIZE_2M;
		direct = rng_below(DIRECT_WINDOW / SIZE_1G) * SIZE_1G;
	}
	kelf_load(elf, mem_ptr(bi->kernel_elf.addr), mem_ptr(phys), slide);
	k->entry = elf->entry + slide;
	bi->kernel_phys = phys;
	bi->kernel_virt = elf->base + slide;
	bi->kernel_size = elf->size;
	bi->kernel_slide = slide;
	bi->phys_map_base = DIRECT_BASE + direct;
	con_print("kernel: %lu KiB at 0x%lx%s\n", elf->size >> 10, phys,
		  kaslr ? "" : ", kaslr off");
	return 0;
}

int kimage_map(const struct boot_info *bi, const struct kimage *k, struct paging *p)
{
	for (uint32_t i = 0; i < k->elf.seg_count; i++) {
		const struct kelf_seg *s = &k->elf.seg[i];
		uint64_t start = ALIGN_DOWN(s->virt - k->elf.base, PAGE_SIZE);
		uint64_t end = ALIGN_UP(s->virt - k->elf.base + s->mem_size, PAGE_SIZE);
		uint64_t flags = ((s->flags & KELF_W) != 0 ? PAGING_W : 0) |
				 ((s->flags & KELF_X) != 0 ? 0 : PAGING_NX);
		int err = paging_map(p, bi->kernel_virt + start, bi->kernel_phys + start,
				     end - start, flags, PAGE_SIZE);

		if (err)
			return err;
	}
	return 0;
}
