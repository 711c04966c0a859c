/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel in memory: file, image, addresses.
 * Owns: the choice of where the kernel runs (KASLR). Context: boot services, BSP.
 */
#ifndef RAYOS_BOOT_KIMAGE_H
#define RAYOS_BOOT_KIMAGE_H

#include "boot/boot_info.h"
#include "boot/kelf.h"
#include "boot/paging.h"

#define KIMAGE_PATH "rayos/kernel.elf"

struct kimage {
	struct kelf elf;
	uint64_t entry; /* run-time virtual address */
};

/**
 * Read and check the kernel file; fills boot_info's kernel_elf.
 * Returns: NULL, or the word for the prompt's marker line; the reason was printed
 * Trust:   the file is hostile
 */
const char *kimage_read(struct boot_info *bi, struct kimage *k);

/**
 * Choose addresses, load and relocate; fills boot_info's kernel_* and phys_map_base.
 *
 * The image moves by whole 2 MiB steps within 512 MiB above its link address. The direct
 * map starts at a whole GiB within the first 32 TiB of the upper half, so that its 64 TiB
 * end below 0xffffe00000000000; what is above stays free for the kernel.
 * @kaslr   false: the link address, and the upper half's first byte
 * Returns: 0, -RAY_ENOMEM
 */
int __must_check kimage_place(struct boot_info *bi, struct kimage *k, bool kaslr);

/** Map the image with its segments' permissions. Returns: 0 or paging_map()'s error. */
int __must_check kimage_map(const struct boot_info *bi, const struct kimage *k, struct paging *p);

#define KIMAGE_DIRECT_MAP_MAX (64ull << 40) /* bytes of physical address space */

#endif
