/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files the boot loader brought along (kernels, initrds), by name. They stay in place.
 */
#ifndef RAYOS_KERNEL_MODULE_H
#define RAYOS_KERNEL_MODULE_H

#include "kernel/lib/types.h"

/** 0, or -RAY_ENOENT (not listed, or the loader could not read it). Context: thread. */
int __must_check module_find(const char *name, const uint8_t **data, uint64_t *size);
/** Call fn for each; status is 0 or why it was not loaded. */
void module_for_each(void (*fn)(void *ctx, const char *name, uint64_t size, int status), void *ctx);

#endif
