/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory map, and leaving boot services.
 * Owns: the buffers both need, taken in time since nothing can be allocated at the end.
 */
#ifndef RAYOS_BOOT_EXIT_H
#define RAYOS_BOOT_EXIT_H

#include "boot/boot_info.h"
#include "kernel/lib/types.h"

/** Take the buffers. Context: boot services. Returns: 0, -RAY_ENOMEM, -RAY_EIO. */
int __must_check exit_prepare(void);

/**
 * The firmware's present map in the kernel's terms, unsorted, for building page tables.
 * Context: boot services, after exit_prepare(). Returns: 0, -RAY_EIO.
 */
int __must_check exit_map_get(const struct boot_mem **map, uint32_t *count);

/**
 * Whether a range lies within one region of memory (not device memory) that the map lists,
 * or in the BIOS area below 1 MiB, which maps may leave out.
 * Context: after exit_map_get(). Trust: the range is the firmware's; it may wrap.
 */
bool exit_map_covers(uint64_t addr, uint64_t len);

/**
 * Leave boot services and put both memory maps into boot_info.
 * Context: the last thing done with firmware; on success only plain memory is left. After a
 *          failure the firmware is in a state in which only another attempt or a reset is
 *          allowed (UEFI 2.10, 7.4.6).
 * Returns: 0, -RAY_EIO
 */
int __must_check exit_boot_services(void *image, struct boot_info *bi);

#endif
