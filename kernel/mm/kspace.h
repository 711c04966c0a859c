/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's one address space, shared by all CPUs:
 *
 *	0xffff800000000000 ..  direct map of RAM, at a random GiB in here, read-write, no execute
 *	0xffffff0000000000 ..  vmap: devices and stacks, 512 GiB
 *	0xffffffff80000000 ..  the kernel image, at a random place in here, by segment
 *
 * The lower half is empty. Owns: the root table and what is mapped at boot.
 */
#ifndef RAYOS_KERNEL_MM_KSPACE_H
#define RAYOS_KERNEL_MM_KSPACE_H

#include "boot/boot_info.h"
#include "kernel/mm/memmap.h"

#define DIRECT_FIRST 0xffff800000000000ull
#define VMAP_FIRST   0xffffff0000000000ull
#define VMAP_SIZE    (512ull << 30)

/**
 * Build the tables and switch to them: the direct map moves, so pointers into the loader's
 * are void afterwards. Panics when memory is short.
 * @random  chooses the place of the direct map
 * Context: once, boot processor, after page_init() and cpu_init().
 */
void kspace_init(const struct memmap *m, const struct boot_info *bi, uint64_t random);

/** What goes into CR3; below 4 GiB. */
hpa_t kspace_root(void);

/**
 * A root for starting other CPUs: the kernel's upper half, and @page mapped to its own
 * address, executable. Below 4 GiB. NULL-like HPA(0) when memory is short.
 */
hpa_t kspace_trampoline_root(hpa_t page) __must_check;
void kspace_trampoline_root_free(hpa_t root);

/** Whether all of [addr, addr + len) is mapped. Context: any, NMI included; no locks. */
bool kspace_mapped(uint64_t addr, uint64_t len);

/** Flush this CPU's whole TLB, global entries too. */
void kspace_tlb_flush(void);

#endif
