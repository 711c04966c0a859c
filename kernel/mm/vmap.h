/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's address space: W^X, NX, device mappings and stacks with guard pages.
 * Layout is in docs/memory.md. Locking: own spinlock. Context: IRQs on or off, not NMI.
 */
#ifndef RAYOS_KERNEL_MM_VMAP_H
#define RAYOS_KERNEL_MM_VMAP_H

#include "kernel/lib/types.h"

enum vmap_cache { VMAP_WB, VMAP_UC, VMAP_WC };

/**
 * Map physical memory outside RAM (device registers, framebuffer, firmware tables), never
 * executable.
 * @hpa, @len  any alignment; the mapping covers the pages touched
 * Returns: address of @hpa in the mapping, or NULL when address space or memory is short.
 */
void *vmap(hpa_t hpa, size_t len, enum vmap_cache cache, bool writable) __must_check;
/** @va is what vmap() returned. */
void vunmap(void *va);

/**
 * A stack of @size bytes (page multiple) with an unmapped page below it.
 * Returns: highest address (16-byte aligned), or NULL.
 */
void *vmap_stack_create(size_t size) __must_check;
void vmap_stack_destroy(void *top);

/**
 * Memory of any size out of single pages, for a while and for large things of the host's own:
 * the range of addresses it takes is not given back quickly, so nothing a guest can ask for
 * again and again comes from here. Its contents are scrubbed when it is freed.
 * Context: thread, IRQs on. Returns: address, page aligned, contents undefined; NULL
 */
void *vmap_alloc(size_t size) __must_check;
/** @p may be NULL. */
void vmap_free(void *p);

/** Whether @addr is the unmapped page below a mapping. Context: any, NMI included. */
bool vmap_is_guard(uint64_t addr);

/** @random places the first mapping. Context: once, before any other call. */
void vmap_init(uint64_t random);

#endif
