/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <string.h>

#include "hv/loader/loader_priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"

int loader_fail(struct loader_ctx *c, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ray_vsnprintf(c->why, c->why_len, fmt, ap);
	va_end(ap);
	return err;
}

int loader_gdt(struct loader_ctx *c, bool long64)
{
	/* Flat, accessed, present (SDM vol. 3, 3.4.5). */
	const uint64_t gdt[] = {
		0,
		0,
		long64 ? 0x00af9b000000ffffull : 0x00cf9b000000ffffull,
		0x00cf93000000ffffull,
	};
	int err = gmem_write(&c->vm->mem, GPA(LOAD_GDT), gdt, sizeof(gdt));

	c->entry->gdt_base = LOAD_GDT;
	c->entry->gdt_limit = sizeof(gdt) - 1;
	c->entry->cs = LOAD_CS;
	c->entry->ds = LOAD_DS;
	return err;
}

#define PTE_TABLE 0x3ull  /* present, writable */
#define PTE_2M    0x83ull /* and large */

int loader_identity_map(struct loader_ctx *c)
{
	const uint64_t pml4 = LOAD_PAGE_TABLES;
	const uint64_t pdpt = pml4 + PAGE_SIZE;
	uint64_t e = pdpt | PTE_TABLE;
	int err = gmem_write(&c->vm->mem, GPA(pml4), &e, sizeof(e));

	for (uint64_t g = 0; g < 4 && err == 0; g++) {
		uint64_t pd = pdpt + (g + 1) * PAGE_SIZE;

		e = pd | PTE_TABLE;
		err = gmem_write(&c->vm->mem, GPA(pdpt + g * 8), &e, sizeof(e));
		for (uint64_t i = 0; i < 512 && err == 0; i++) {
			e = (g * SIZE_1G + i * SIZE_2M) | PTE_2M;
			err = gmem_write(&c->vm->mem, GPA(pd + i * 8), &e, sizeof(e));
		}
	}
	c->entry->cr3 = pml4;
	return err;
}

int loader_cmdline(struct loader_ctx *c, uint64_t max)
{
	size_t len = strlen(c->image->cmdline);

	if (len > max || len >= LOAD_CMDLINE_MAX)
		return loader_fail(c, -RAY_E2BIG, "cmdline: %lu bytes, the kernel takes %lu",
				   (unsigned long)len, (unsigned long)max);
	return gmem_write(&c->vm->mem, GPA(LOAD_CMDLINE), c->image->cmdline, len + 1);
}

bool loader_range_ok(const struct vm *vm, uint64_t gpa, uint64_t len)
{
	uint64_t end;

	if (gpa < MIB(1) || __builtin_add_overflow(gpa, len, &end))
		return false;
	for (unsigned int i = 0; i < vm->mem.count; i++) {
		const struct gmem_region *r = &vm->mem.region[i];

		if (r->type == GMEM_RAM && gpa >= r->base.v && end <= r->base.v + r->size)
			return true;
	}
	return false;
}

int loader_initrd(struct loader_ctx *c, uint64_t floor, uint64_t limit, uint64_t *gpa)
{
	uint64_t size = c->image->initrd_size;
	uint64_t top = MIN(limit, c->vm->mem.region[0].size);

	*gpa = 0;
	if (c->image->initrd == NULL || size == 0)
		return 0;
	if (size > top || ALIGN_DOWN(top - size, PAGE_SIZE) < floor)
		return loader_fail(c, -RAY_E2BIG,
				   "initrd: %luK do not fit between the kernel (ends at %luM) and %luM; "
				   "give the VM more memory",
				   (unsigned long)(size >> 10), (unsigned long)(floor >> 20),
				   (unsigned long)(top >> 20));
	*gpa = ALIGN_DOWN(top - size, PAGE_SIZE);
	return gmem_write(&c->vm->mem, GPA(*gpa), c->image->initrd, size);
}

int vm_image_load(struct vm *vm, const struct vm_image *image, struct vm_entry *entry, char *why,
		  size_t why_len)
{
	static int (*const formats[])(struct loader_ctx *c) = { load_bzimage, load_elf };
	struct loader_ctx c = { vm, image, entry, why, why_len };

	for (unsigned int i = 0; i < ARRAY_SIZE(formats); i++) {
		int err = formats[i](&c);

		if (err != -RAY_ENOSYS)
			return err;
	}
	return loader_fail(&c, -RAY_ENOEXEC,
			   "kernel: neither a Linux bzImage, an ELF with a PVH note, nor Multiboot 1");
}
