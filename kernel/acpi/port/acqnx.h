/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPICA's platform header. It has the name of a slot (acenv.h picks it for __QNX__) that the
 * source package leaves empty; QNX has nothing to do with it.
 */
#ifndef RAYOS_KERNEL_ACPI_PORT_ACQNX_H
#define RAYOS_KERNEL_ACPI_PORT_ACQNX_H

#include <stdbool.h>
#include <stdint.h>

/* As scripts/mk/hidden.h for our own sources: ACPICA's globals must not go through a GOT. */
#pragma GCC visibility push(hidden)

#define ACPI_MACHINE_WIDTH        64
#define ACPI_USE_SYSTEM_CLIBRARY
#define ACPI_USE_STANDARD_HEADERS
#define ACPI_USE_NATIVE_DIVIDE
#define ACPI_USE_LOCAL_CACHE
#define ACPI_PCI_CONFIGURED
#define COMPILER_DEPENDENT_INT64  long
#define COMPILER_DEPENDENT_UINT64 unsigned long

#define acpi_cpu_flags uint64_t
#define acpi_thread_id uint64_t

/* The package carries these marks of its surroundings. */
#define __iomem
#define __init
#define __must_check __attribute__((warn_unused_result))

/* The lock shared with firmware (ACPI 6.5, 5.2.10.1); acpi_port.c. */
bool acpi_port_global_lock_acquire(uint32_t *lock);
bool acpi_port_global_lock_release(uint32_t *lock);
#define ACPI_ACQUIRE_GLOBAL_LOCK(facs, acquired)                                                   \
	((acquired) = acpi_port_global_lock_acquire(&(facs)->global_lock))
#define ACPI_RELEASE_GLOBAL_LOCK(facs, pending)                                                    \
	((pending) = acpi_port_global_lock_release(&(facs)->global_lock))

#endif
