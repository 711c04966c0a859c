/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the ACPICA port share with kernel/acpi: its deferred-work thread, and its
 * end. AML is firmware's and ACPICA trusts it more than we do, so every entry that runs AML
 * goes through guarded_call(), and after one fault ACPICA is never entered again.
 */
#ifndef RAYOS_KERNEL_ACPI_PORT_PORT_H
#define RAYOS_KERNEL_ACPI_PORT_PORT_H

#include "kernel/lib/types.h"

/**
 * ACPICA has faulted, or its namespace is unusable: it is not called any more, its interrupt
 * is masked. Context: thread.
 */
void acpi_port_abandon(void);
/** Whether that has happened. */
bool acpi_port_abandoned(void);

/** Start the thread that runs what ACPICA defers (GPE methods, notifications). */
int __must_check acpi_port_exec_init(void);

/** Deferred calls dropped because their queue was full. */
uint64_t acpi_port_exec_dropped(void);

#endif
