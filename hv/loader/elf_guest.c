/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests that come as ELF files: by the PVH boot protocol (Xen docs/misc/pvh, the Xen public
 * header hvm/start_info.h) or by Multiboot 1 (Multiboot Specification 0.6.96).
 */
#include <string.h>

#include "hv/loader/e820.h"
#include "hv/loader/elf.h"
#include "hv/loader/loader_priv.h"
#include "kernel/lib/err.h"

/* --- both: segments, then module, command line and memory map in the info area --- */

static int segments_load(struct loader_ctx *c, const struct elf_image *im, uint64_t *end)
{
	*end = MIB(1);
	for (unsigned int i = 0; i < im->count; i++) {
		const struct elf_segment *s = &im->seg[i];

		if (!loader_range_ok(c->vm, s->paddr, s->memsz))
			return loader_fail(c, -RAY_E2BIG,
					   "kernel: segment at 0x%lx (%luK) is not in RAM above 1M",
					   (unsigned long)s->paddr, (unsigned long)(s->memsz >> 10));
		int err = gmem_write(&c->vm->mem, GPA(s->paddr), c->image->kernel + s->offset, s->filesz);
		if (err != 0)
			return err;
		*end = MAX(*end, s->paddr + s->memsz);
	}
	return 0;
}

static int put(struct loader_ctx *c, uint64_t gpa, const void *p, size_t n)
{
	return gmem_write(&c->vm->mem, GPA(gpa), p, n);
}

static int entry_32(struct loader_ctx *c, uint64_t rip)
{
	c->entry->mode = VM_ENTRY_PROT32;
	c->entry->rip = rip;
	return loader_gdt(c, false);
}

/* --- PVH --- */

#define NOTE_OWNER         "Xen"
#define NOTE_PHYS32_ENTRY  18u
#define START_INFO_MAGIC   0x336ec578u
#define START_INFO_VERSION 1u
#define PVH_MODLIST        (LOAD_INFO + 0x100u)
#define PVH_MEMMAP         (LOAD_INFO + 0x200u)

struct pvh_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};
struct pvh_module {
	uint64_t addr, size, cmdline, reserved;
};
struct pvh_memmap {
	uint64_t addr, size;
	uint32_t type, reserved;
};

static int pvh_info_write(struct loader_ctx *c, uint64_t initrd)
{
	struct e820_entry map[E820_MAX];
	unsigned int n = e820_build(&c->vm->mem, map);
	struct pvh_start_info info = { .magic = START_INFO_MAGIC,
				       .version = START_INFO_VERSION,
				       .nr_modules = initrd != 0 ? 1 : 0,
				       .modlist = initrd != 0 ? PVH_MODLIST : 0,
				       .cmdline = LOAD_CMDLINE,
				       .memmap = PVH_MEMMAP,
				       .memmap_entries = n };
	struct pvh_module mod = { .addr = initrd, .size = c->image->initrd_size };
	int err = put(c, LOAD_INFO, &info, sizeof(info));

	if (err == 0)
		err = put(c, PVH_MODLIST, &mod, sizeof(mod));
	for (unsigned int i = 0; i < n && err == 0; i++) {
		struct pvh_memmap m = { map[i].base, map[i].size, map[i].type, 0 };

		err = put(c, PVH_MEMMAP + i * sizeof(m), &m, sizeof(m));
	}
	return err;
}

/* Everything but the registers that one protocol or the other passes besides RBX. */
static int load_parts(struct loader_ctx *c, const struct elf_image *im, uint64_t entry,
		      int (*info_write)(struct loader_ctx *c, uint64_t initrd))
{
	uint64_t end, initrd;
	int err = segments_load(c, im, &end);

	if (err == 0)
		err = loader_cmdline(c, LOAD_CMDLINE_MAX - 1);
	if (err == 0)
		err = loader_initrd(c, end, GIB(4), &initrd);
	if (err == 0)
		err = info_write(c, initrd);
	if (err == 0)
		err = entry_32(c, entry);
	c->entry->gpr[GPR_RBX] = LOAD_INFO;
	return err;
}

static int load_pvh(struct loader_ctx *c, const struct elf_image *im)
{
	const uint8_t *desc;
	uint32_t n = elf_note_find(c->image->kernel, im, NOTE_OWNER, NOTE_PHYS32_ENTRY, &desc);
	uint32_t entry;

	if (n < sizeof(entry))
		return -RAY_ENOSYS;
	memcpy(&entry, desc, sizeof(entry));
	return load_parts(c, im, entry, pvh_info_write);
}

/* --- Multiboot 1 --- */

#define MB_HEADER_MAGIC  0x1badb002u
#define MB_BOOT_MAGIC    0x2badb002u
#define MB_SEARCH        8192u
#define MB_FLAGS_KNOWN   0x00010007u /* page align, memory info, video (ignored), a.out */
#define MB_REQUIRED_MASK 0xffffu
#define MB_INFO_MEMORY   BIT(0)
#define MB_INFO_CMDLINE  BIT(2)
#define MB_INFO_MODS     BIT(3)
#define MB_INFO_MMAP     BIT(6)
#define MB_INFO_NAME     BIT(9)
#define MB_MODS          (LOAD_INFO + 0x100u)
#define MB_NAME          (LOAD_INFO + 0x180u)
#define MB_MMAP          (LOAD_INFO + 0x200u)

struct mb_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length, mmap_addr, drives_length, drives_addr, config_table;
	uint32_t boot_loader_name, apm_table;
};
struct mb_module {
	uint32_t start, end, string, reserved;
};
struct mb_mmap {
	uint32_t size; /* of what follows */
	uint64_t addr, len;
	uint32_t type;
} __packed;

static bool mb_header_find(const struct vm_image *im, uint32_t *flags)
{
	uint64_t limit = MIN(im->kernel_size, (uint64_t)MB_SEARCH);

	for (uint64_t at = 0; at + 12 <= limit; at += 4) {
		uint32_t h[3]; /* magic, flags, checksum */

		memcpy(h, im->kernel + at, sizeof(h));
		if (h[0] == MB_HEADER_MAGIC && h[0] + h[1] + h[2] == 0) {
			*flags = h[1];
			return true;
		}
	}
	return false;
}

static int mb_info_write(struct loader_ctx *c, uint64_t initrd)
{
	static const char name[] = "RayOS";
	struct e820_entry map[E820_MAX];
	unsigned int n = e820_build(&c->vm->mem, map);
	struct mb_module mod = { (uint32_t)initrd, (uint32_t)(initrd + c->image->initrd_size),
				 LOAD_CMDLINE, 0 };
	struct mb_info info = {
		.flags = (uint32_t)(MB_INFO_MEMORY | MB_INFO_CMDLINE | MB_INFO_MODS | MB_INFO_MMAP |
				    MB_INFO_NAME),
		.mem_lower = GUEST_LOW_RAM_END / 1024,
		.mem_upper = (uint32_t)((c->vm->mem.region[0].size - MIB(1)) / 1024),
		.cmdline = LOAD_CMDLINE,
		.mods_count = initrd != 0 ? 1 : 0,
		.mods_addr = MB_MODS,
		.mmap_length = (uint32_t)(n * sizeof(struct mb_mmap)),
		.mmap_addr = MB_MMAP,
		.boot_loader_name = MB_NAME,
	};
	int err = put(c, LOAD_INFO, &info, sizeof(info));

	if (err == 0)
		err = put(c, MB_MODS, &mod, sizeof(mod));
	if (err == 0)
		err = put(c, MB_NAME, name, sizeof(name));
	for (unsigned int i = 0; i < n && err == 0; i++) {
		struct mb_mmap m = { sizeof(m) - sizeof(m.size), map[i].base, map[i].size,
				     map[i].type };

		err = put(c, MB_MMAP + i * sizeof(m), &m, sizeof(m));
	}
	return err;
}

static int load_multiboot(struct loader_ctx *c, const struct elf_image *im)
{
	uint32_t flags;

	if (!mb_header_find(c->image, &flags))
		return -RAY_ENOSYS;
	if ((flags & MB_REQUIRED_MASK & ~MB_FLAGS_KNOWN) != 0)
		return loader_fail(c, -RAY_ENOEXEC, "kernel: Multiboot header asks for unknown 0x%x",
				   flags & MB_REQUIRED_MASK & ~MB_FLAGS_KNOWN);
	int err = load_parts(c, im, im->entry, mb_info_write);
	c->entry->gpr[GPR_RAX] = MB_BOOT_MAGIC;
	return err;
}

int load_elf(struct loader_ctx *c)
{
	struct elf_image im;
	const char *why = "";
	int err = elf_parse(c->image->kernel, c->image->kernel_size, &im, &why);

	if (err == -RAY_ENOEXEC)
		return loader_fail(c, err, "kernel: %s", why);
	if (err != 0)
		return err;
	err = load_pvh(c, &im);
	if (err == -RAY_ENOSYS)
		err = load_multiboot(c, &im);
	if (err == -RAY_ENOSYS)
		return loader_fail(c, -RAY_ENOEXEC,
				   "kernel: ELF with neither a PVH note nor a Multiboot header");
	return err == -RAY_EFAULT ? loader_fail(c, -RAY_E2BIG, "kernel: does not fit into memory") : err;
}
