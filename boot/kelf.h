/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validation and loading of the kernel's ELF file.
 *
 * Owns: what a kernel image may look like (ET_DYN, x86-64, W^X segments, relative relocations).
 * Must not know: EFI, where memory comes from, page tables. Builds on the host for tests.
 * Context: any; no state, no allocation.
 */
#ifndef RAYOS_BOOT_KELF_H
#define RAYOS_BOOT_KELF_H

#include <stdint.h>

#include "kernel/lib/types.h"

#define KELF_SEG_MAX   16u
#define KELF_PHDR_MAX  32u
#define KELF_IMAGE_MAX MIB(64)

#define KELF_X 1u /* PF_X */
#define KELF_W 2u /* PF_W */
#define KELF_R 4u /* PF_R */

/* One PT_LOAD; virt is a link address. */
struct kelf_seg {
	uint64_t virt;
	uint64_t mem_size; /* bytes */
	uint64_t file_off;
	uint64_t file_size; /* bytes, <= mem_size */
	uint32_t flags;     /* KELF_R, KELF_W, KELF_X */
};

/* A validated image; offsets and addresses in here need no further check. */
struct kelf {
	uint64_t base;       /* link address of the first page, 2 MiB aligned */
	uint64_t size;       /* bytes of memory, page multiple, .bss included */
	uint64_t entry;      /* link address */
	uint64_t rela_off;   /* file offset of the relocation table */
	uint64_t rela_count; /* entries of 24 bytes */
	uint32_t seg_count;  /* sorted by address, no two share a page */
	struct kelf_seg seg[KELF_SEG_MAX];
};

/* Why an image was refused, for a message to people. */
struct kelf_error {
	const char *what;  /* static text */
	const char *where; /* what `index` counts: "program header", "relocation" ...; or NULL */
	uint64_t index;
	uint64_t value; /* the offending value or address */
};

/**
 * Check a kernel file and describe its image. Every relocation is checked too, so that
 * kelf_load() cannot fail.
 * @file, @size  the whole file in memory, any alignment
 * @k, @e        results; *k is set on success, *e on failure
 * Context: any
 * Returns: 0, -RAY_ENOEXEC (refused; *e says why)
 * Trust:   the file is hostile
 * Spec:    System V gABI ch. 4-5; AMD64 psABI 4.4.1
 */
int __must_check kelf_parse(const void *file, uint64_t size, struct kelf *k, struct kelf_error *e);

/**
 * Copy the segments into place, clear the rest and apply the relocations.
 * @k      from kelf_parse() over the same, unchanged file
 * @image  k->size bytes, page aligned
 * @slide  run-time address minus link address
 * Context: any
 */
void kelf_load(const struct kelf *k, const void *file, void *image, uint64_t slide);

#endif
