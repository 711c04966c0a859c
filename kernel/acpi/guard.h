/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What physical memory firmware's tables and AML may name: everything but RAM that is, or will
 * be, the kernel's. Without this a table could hand AML any page of the hypervisor or a guest.
 * Context: any, after mm_init().
 */
#ifndef RAYOS_KERNEL_ACPI_GUARD_H
#define RAYOS_KERNEL_ACPI_GUARD_H

#include "kernel/lib/types.h"
#include "kernel/mm/vmap.h"

/**
 * May firmware's data or code touch [hpa, hpa + len)?
 * @cache  how to map it: firmware's own memory is cached, anything else may be registers
 * Trust:  both are firmware's
 */
bool acpi_guard_allows(uint64_t hpa, uint64_t len, enum vmap_cache *cache);

#endif
