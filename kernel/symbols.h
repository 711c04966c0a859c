/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the kernel's functions, for backtraces.
 * Owns: the symbol table. Knows nothing of who asks. Written once at init, then read by anyone.
 */
#ifndef RAYOS_KERNEL_SYMBOLS_H
#define RAYOS_KERNEL_SYMBOLS_H

#include "kernel/lib/types.h"

/**
 * Take the symbols of an ELF file in place.
 * @elf, @size  the kernel's own file
 * @slide       run-time address minus link address
 * @text_size   bytes of code, which begins at KERNEL_LINK_BASE
 * Returns: 0, -RAY_ENOEXEC (no well-formed symbol table; lookups then find nothing)
 * Trust:   the file came through the loader, and is checked like any other file
 */
int __must_check symbols_init(const void *elf, size_t size, uint64_t slide, uint64_t text_size);

/** Copy what lookups need to the heap, so that the file's memory can go. -RAY_ENOMEM. */
int __must_check symbols_keep(void);

/**
 * Function that contains an address.
 * @offset  distance from its start, written when a name is returned
 * Context: any, NMI included. Returns: name, or NULL.
 */
const char *symbols_find(uint64_t addr, uint64_t *offset);

#endif
