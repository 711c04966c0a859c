/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of the kernel image's parts, from linker.ld, and of the boot processor's stacks.
 * Owns: the names. All are page aligned, except the tables.
 */
#ifndef RAYOS_KERNEL_ARCH_IMAGE_H
#define RAYOS_KERNEL_ARCH_IMAGE_H

#include "kernel/lib/types.h"

extern char __kernel_start[], __kernel_end[];
extern char __text_start[], __text_end[];     /* read, execute */
extern char __rodata_start[], __rodata_end[]; /* read */
extern char __data_start[], __data_end[];     /* read, write */
extern char __bss_start[], __bss_end[];       /* read, write */

#define KERNEL_LINK_BASE 0xffffffff80000000ull

/* In entry.S: guard page, boot stack, then guard page and stack for each IST entry. */
extern char boot_stacks[], boot_stack_top[], boot_stacks_end[];
#define BOOT_STACK_SIZE 32768ul
#define IST_STACK_SIZE  8192ul

#endif
