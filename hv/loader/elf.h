/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF executables as guest images, both classes, by physical address (System V gABI, ch. 5).
 * Pure: looks at bytes, touches no guest. Trust: every field is hostile.
 */
#ifndef RAYOS_HV_LOADER_ELF_H
#define RAYOS_HV_LOADER_ELF_H

#include "kernel/lib/types.h"

#define ELF_SEGMENT_MAX 32u

struct elf_segment {
	uint64_t offset, filesz; /* in the file, inside it */
	uint64_t paddr, memsz;   /* memsz >= filesz, no wrap */
};

struct elf_image {
	uint64_t entry;
	unsigned int count;
	struct elf_segment seg[ELF_SEGMENT_MAX]; /* loadable, non-empty, not overlapping */
	uint64_t note_offset, note_size;         /* PT_NOTE, size 0 when there is none */
};

/**
 * Check an x86 executable and list what is to be loaded.
 * Returns: 0; -RAY_ENOSYS (no ELF magic); -RAY_ENOEXEC with *why, static text.
 */
int __must_check elf_parse(const uint8_t *file, uint64_t size, struct elf_image *out,
			   const char **why);

/**
 * Find a note by owner and type; *desc points into the file, 4-byte granular.
 * Returns: its descriptor's size, 0 when there is none.
 */
uint32_t elf_note_find(const uint8_t *file, const struct elf_image *im, const char *owner,
		       uint32_t type, const uint8_t **desc);

#endif
