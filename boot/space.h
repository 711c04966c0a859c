/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address space the kernel starts in, and the way into it.
 * Owns: what is mapped where at kernel entry (boot_info.h has the contract).
 */
#ifndef RAYOS_BOOT_SPACE_H
#define RAYOS_BOOT_SPACE_H

#include "boot/boot_info.h"
#include "boot/kimage.h"
#include "kernel/lib/types.h"

struct space {
	uint64_t cr3;
	uint64_t page;  /* of the hand-over code and its data, mapped one to one, below 4 GiB */
	uint64_t stack; /* end of the stack, in the direct map */
};

/**
 * Build the page tables and take the pages the jump needs.
 * @map, @count  the firmware's memory map, for the RAM above 4 GiB
 * Context: boot services, BSP
 * Returns: 0, -RAY_ENOMEM, -RAY_ERANGE (5-level paging and no memory below 4 GiB to leave
 *          it with), or paging_map()'s error
 */
int __must_check space_build(const struct boot_info *bi, const struct kimage *k,
			     const struct boot_mem *map, uint32_t count, struct space *out);

/** Jump. @info  hpa of boot_info. Context: BSP, boot services gone. */
__noreturn void space_enter(const struct space *s, const struct boot_info *bi, uint64_t entry);

#endif
