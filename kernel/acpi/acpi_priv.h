/* SPDX-License-Identifier: Apache-2.0 */
/* What the AML-using files of kernel/acpi share. Include <acpi/acpi.h> is theirs alone. */
#ifndef RAYOS_KERNEL_ACPI_ACPI_PRIV_H
#define RAYOS_KERNEL_ACPI_ACPI_PRIV_H

#include "kernel/lib/types.h"

/** Read all _PRT and give PCI its router. Context: thread, namespace loaded. */
void acpi_prt_load(void);
/** What an object or method named @name of @handle (an acpi_handle) evaluates to. Context: thread,
 *  namespace loaded. */
uint64_t acpi_integer_get(void *handle, const char *name, uint64_t otherwise);

/** Ask firmware for the slots of all root bridges. Context: thread, namespace loaded. */
void acpi_osc_ask(void);
/** Start those that it gave. Context: thread, outside of guarded_call(). */
void acpi_osc_use(void);

#endif
