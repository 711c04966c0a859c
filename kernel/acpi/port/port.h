/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the ACPICA port share with kernel/acpi: its deferred-work thread. */
#ifndef RAYOS_KERNEL_ACPI_PORT_PORT_H
#define RAYOS_KERNEL_ACPI_PORT_PORT_H

#include "kernel/lib/types.h"

/** Start the thread that runs what ACPICA defers (GPE methods, notifications). */
int __must_check acpi_port_exec_init(void);

/** Deferred calls dropped because their queue was full. */
uint64_t acpi_port_exec_dropped(void);

#endif
