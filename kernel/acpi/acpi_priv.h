/* SPDX-License-Identifier: Apache-2.0 */
/* What the AML-using files of kernel/acpi share. Include <acpi/acpi.h> is theirs alone. */
#ifndef RAYOS_KERNEL_ACPI_ACPI_PRIV_H
#define RAYOS_KERNEL_ACPI_ACPI_PRIV_H

#include "kernel/lib/types.h"

/** Read all _PRT and give PCI its router. Context: thread, namespace loaded. */
void acpi_prt_load(void);

#endif
