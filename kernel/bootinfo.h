/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader's hand-over, checked and copied.
 * Owns: the one copy of struct boot_info the kernel uses. Must not know: EFI.
 */
#ifndef RAYOS_KERNEL_BOOTINFO_H
#define RAYOS_KERNEL_BOOTINFO_H

#include "boot/boot_info.h"
#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define BOOTINFO_MEM_MAX    65536u
#define BOOTINFO_CPUS_MAX   1024u
#define BOOTINFO_MODULE_MAX 256u

/**
 * Judge a hand-over. Pure: reads @bi and, through @phys, the memory map it points to.
 * @phys  virtual address of physical address 0
 * Returns: NULL when it may be used, else what is wrong with it.
 * Trust:   nothing in it is believed before it is checked
 */
const char *bootinfo_check(const struct boot_info *bi, const uint8_t *phys);

/**
 * Check and keep @bi; panics when it cannot be used. Its seed is erased, the kept copy has the
 * only one. Context: once, first thing.
 */
void bootinfo_init(struct boot_info *bi);

/**
 * Copy what the kept structure points to out of the loader's memory; the addresses in it
 * then name the copies. The memory map and the kernel's file are not kept.
 * Context: once, when the heap works.
 */
void bootinfo_keep(void);

/**
 * Move the loader's seed for keys to @seed; it is no longer here then.
 * Context: init. Returns: 0, -RAY_ENOENT (there was none, or it was taken).
 */
int __must_check bootinfo_seed_take(uint8_t seed[BOOT_SEED_LEN]);

/** The kept copy. */
const struct boot_info *bootinfo(void);

#endif
