/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaders: put a guest image into guest memory and say how its first CPU starts.
 * Owns: image formats (hv/loader/). Must not know: vCPU internals, devices.
 * Trust: images are hostile input; every header is copied once and checked.
 */
#ifndef RAYOS_HV_LOADER_H
#define RAYOS_HV_LOADER_H

#include "hv/regs.h"
#include "kernel/lib/types.h"

struct vm;

enum vm_entry_mode {
	VM_ENTRY_LONG64, /* paging on: identity map at cr3, flat 64-bit segments */
	VM_ENTRY_PROT32, /* flat 32-bit segments, paging off */
};

/* State of the boot CPU at the guest's first instruction; all else is as after RESET. */
struct vm_entry {
	enum vm_entry_mode mode;
	uint64_t rip;
	uint64_t gpr[GPR_COUNT];
	uint64_t cr3;      /* gpa of the page tables the loader wrote (LONG64) */
	uint64_t gdt_base; /* gpa of the GDT the loader wrote */
	uint16_t gdt_limit;
	uint16_t cs, ds;   /* selectors in that GDT */
};

/* What a loader is given: bytes in host memory. */
struct vm_image {
	const uint8_t *kernel;
	uint64_t kernel_size;
	const uint8_t *initrd; /* NULL: none */
	uint64_t initrd_size;
	const char *cmdline;
};

/**
 * Recognise the kernel's format (bzImage, ELF with a PVH note, Multiboot 1), place it, the
 * initrd and the command line into guest memory, and describe the entry.
 * Pre:     guest memory is there and zero, the platform has written its firmware tables
 * Context: thread
 * Returns: 0; -RAY_ENOEXEC (not a known format, or damaged), -RAY_E2BIG (does not fit),
 *          with @why in words
 */
int __must_check vm_image_load(struct vm *vm, const struct vm_image *image, struct vm_entry *entry,
			       char *why, size_t why_len);

#endif
