/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux bzImage by the 64-bit boot protocol (Linux Documentation/arch/x86/boot.rst and
 * zero-page.rst; offsets below are theirs).
 */
#include <string.h>

#include "hv/loader/e820.h"
#include "hv/loader/loader_priv.h"
#include "kernel/lib/err.h"

#define HDR_OFFSET     0x1f1u
#define HDR_MIN_FILE   0x270u
#define HDR_MAGIC      0x53726448u /* "HdrS" */
#define VERSION_MIN    0x020cu     /* first with xloadflags */
#define LOADED_HIGH    BIT(0)
#define XLF_KERNEL_64  BIT(0)
#define LOADER_UNDEFINED 0xffu
#define ENTRY_64       0x200u
#define SECTOR         512u
#define E820_TABLE_MAX 128u

/* The setup header, as it stands in the file and in the zero page. */
struct setup_header {
	uint8_t setup_sects;
	uint16_t root_flags;
	uint32_t syssize; /* 16-byte units */
	uint16_t ram_size;
	uint16_t vid_mode;
	uint16_t root_dev;
	uint16_t boot_flag;
	uint16_t jump;
	uint32_t header;
	uint16_t version;
	uint32_t realmode_swtch;
	uint16_t start_sys_seg;
	uint16_t kernel_version;
	uint8_t type_of_loader;
	uint8_t loadflags;
	uint16_t setup_move_size;
	uint32_t code32_start;
	uint32_t ramdisk_image;
	uint32_t ramdisk_size;
	uint32_t bootsect_kludge;
	uint16_t heap_end_ptr;
	uint8_t ext_loader_ver;
	uint8_t ext_loader_type;
	uint32_t cmd_line_ptr;
	uint32_t initrd_addr_max;
	uint32_t kernel_alignment;
	uint8_t relocatable_kernel;
	uint8_t min_alignment;
	uint16_t xloadflags;
	uint32_t cmdline_size;
	uint32_t hardware_subarch;
	uint64_t hardware_subarch_data;
	uint32_t payload_offset;
	uint32_t payload_length;
	uint64_t setup_data;
	uint64_t pref_address;
	uint32_t init_size;
	uint32_t handover_offset;
} __packed;
BUILD_ASSERT(offsetof(struct setup_header, header) == 0x202 - HDR_OFFSET, "boot.rst");
BUILD_ASSERT(offsetof(struct setup_header, init_size) == 0x260 - HDR_OFFSET, "boot.rst");

struct boot_params {
	uint8_t screen_info[0x40];
	uint8_t pad1[0x1e8 - 0x40];
	uint8_t e820_entries;
	uint8_t pad2[HDR_OFFSET - 0x1e9];
	struct setup_header hdr;
	uint8_t pad3[0x2d0 - HDR_OFFSET - sizeof(struct setup_header)];
	struct e820_entry e820[E820_TABLE_MAX];
	uint8_t pad4[0x1000 - 0x2d0 - E820_TABLE_MAX * sizeof(struct e820_entry)];
} __packed;
BUILD_ASSERT(sizeof(struct boot_params) == 0x1000, "zero-page.rst");
BUILD_ASSERT(offsetof(struct boot_params, e820) == 0x2d0, "zero-page.rst");

/* What is used of the header, checked. */
struct bzimage {
	struct setup_header hdr;
	uint64_t payload;      /* offset of the protected-mode part in the file */
	uint64_t payload_size; /* bytes */
	uint64_t load;         /* gpa */
};

static int decode(struct loader_ctx *c, struct bzimage *bz)
{
	const struct vm_image *im = c->image;
	struct setup_header *h = &bz->hdr;

	if (im->kernel_size < HDR_MIN_FILE)
		return -RAY_ENOSYS;
	memcpy(h, im->kernel + HDR_OFFSET, sizeof(*h));
	if (h->boot_flag != 0xaa55 || h->header != HDR_MAGIC)
		return -RAY_ENOSYS;
	if (h->version < VERSION_MIN || (h->xloadflags & XLF_KERNEL_64) == 0 ||
	    (h->loadflags & LOADED_HIGH) == 0)
		return loader_fail(c, -RAY_ENOEXEC,
				   "kernel: bzImage without a 64-bit entry (protocol %u.%02u)",
				   h->version >> 8, h->version & 0xff);
	bz->payload = ((h->setup_sects != 0 ? h->setup_sects : 4u) + 1u) * SECTOR;
	if (bz->payload >= im->kernel_size)
		return loader_fail(c, -RAY_ENOEXEC,
				   "kernel: bzImage is cut: setup ends at %lu, the file at %lu",
				   (unsigned long)bz->payload, (unsigned long)im->kernel_size);
	bz->payload_size = im->kernel_size - bz->payload;
	/* syssize tells how long the file should be; signatures may follow it. */
	if ((uint64_t)h->syssize * 16 > ALIGN_UP(bz->payload_size, 16))
		return loader_fail(c, -RAY_ENOEXEC,
				   "kernel: bzImage is cut: %lu bytes of %lu",
				   (unsigned long)bz->payload_size, (unsigned long)h->syssize * 16);
	if (h->init_size < bz->payload_size || bz->payload_size <= ENTRY_64)
		return loader_fail(c, -RAY_ENOEXEC, "kernel: bzImage with a wrong init_size %u",
				   h->init_size);
	return 0;
}

/* At the preferred address if memory reaches that far, else as low as alignment allows. */
static int place(struct loader_ctx *c, struct bzimage *bz)
{
	const struct setup_header *h = &bz->hdr;
	uint64_t align = h->kernel_alignment;

	bz->load = h->pref_address;
	if (loader_range_ok(c->vm, bz->load, h->init_size))
		return 0;
	if (h->relocatable_kernel != 0 && align >= PAGE_SIZE && (align & (align - 1)) == 0) {
		bz->load = MAX(align, MIB(1));
		if (loader_range_ok(c->vm, bz->load, h->init_size))
			return 0;
	}
	return loader_fail(c, -RAY_E2BIG, "kernel: needs %uM at %luM; give the VM more memory",
			   (h->init_size >> 20) + 1, (unsigned long)(bz->load >> 20));
}

static int zero_page(struct loader_ctx *c, const struct bzimage *bz, uint64_t initrd)
{
	struct e820_entry map[E820_MAX];
	unsigned int n = e820_build(&c->vm->mem, map);
	gpa_t at = GPA(LOAD_BOOT_PARAMS);
	struct setup_header h = bz->hdr;
	uint8_t count = (uint8_t)n;
	int err;

	h.type_of_loader = LOADER_UNDEFINED;
	h.vid_mode = 0xffff; /* "normal" */
	h.cmd_line_ptr = LOAD_CMDLINE;
	h.ramdisk_image = (uint32_t)initrd;
	h.ramdisk_size = initrd != 0 ? (uint32_t)c->image->initrd_size : 0;
	h.setup_data = 0;
	h.code32_start = (uint32_t)bz->load;
	err = gmem_write(&c->vm->mem, GPA(at.v + HDR_OFFSET), &h, sizeof(h));
	if (err == 0)
		err = gmem_write(&c->vm->mem, GPA(at.v + offsetof(struct boot_params, e820)), map,
				 n * sizeof(map[0]));
	if (err == 0)
		err = gmem_write(&c->vm->mem,
				 GPA(at.v + offsetof(struct boot_params, e820_entries)), &count, 1);
	return err;
}

int load_bzimage(struct loader_ctx *c)
{
	struct bzimage bz;
	uint64_t initrd;
	int err = decode(c, &bz);

	if (err == 0)
		err = place(c, &bz);
	if (err == 0)
		err = loader_cmdline(c, bz.hdr.cmdline_size);
	if (err == 0)
		err = loader_initrd(c, bz.load + bz.hdr.init_size, (uint64_t)bz.hdr.initrd_addr_max + 1,
				    &initrd);
	if (err == 0)
		err = gmem_write(&c->vm->mem, GPA(bz.load), c->image->kernel + bz.payload,
				 bz.payload_size);
	if (err == 0)
		err = zero_page(c, &bz, initrd);
	if (err == 0)
		err = loader_identity_map(c);
	if (err == 0)
		err = loader_gdt(c, true);
	if (err != 0)
		return err == -RAY_EFAULT ? loader_fail(c, -RAY_E2BIG, "kernel: does not fit into memory") :
					    err;
	c->entry->mode = VM_ENTRY_LONG64;
	c->entry->rip = bz.load + ENTRY_64;
	c->entry->gpr[GPR_RSI] = LOAD_BOOT_PARAMS;
	return 0;
}
