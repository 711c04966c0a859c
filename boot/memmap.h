/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turning what firmware and loader say about memory into one clean map.
 *
 * Owns: the order of precedence between overlapping statements.
 * Must not know: EFI, allocation. Builds on the host for tests. Context: any; no state.
 */
#ifndef RAYOS_BOOT_MEMMAP_H
#define RAYOS_BOOT_MEMMAP_H

#include "boot/boot_info.h"
#include "kernel/lib/types.h"

/* Entries of output and scratch that memmap_build() may need for @n statements. */
#define MEMMAP_ROOM(n) (2 * (uint64_t)(n))

/**
 * Build a sorted, merged, non-overlapping map of whole pages.
 * @in, @n    statements in any order, overlapping or absurd; clipped to 52-bit addresses
 * @own, @own_n  the loader's allocations; they win over everything in @in. Among the rest
 *            the more restrictive type wins, so that doubtful memory is never called RAM.
 * @edges     scratch, MEMMAP_ROOM(n + own_n) entries
 * @out       result, room for MEMMAP_ROOM(n + own_n) entries
 * Context:   any
 * Returns:   entries in @out
 * Trust:     @in comes from firmware
 */
uint32_t memmap_build(const struct boot_mem *in, uint32_t n, const struct boot_mem *own,
		      uint32_t own_n, uint64_t *edges, struct boot_mem *out);

#endif
