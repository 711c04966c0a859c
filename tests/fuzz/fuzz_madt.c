/* UNIT: kernel/acpi/madt.c */
/* PARSER: kernel/acpi/madt.c */
/* SPDX-License-Identifier: Apache-2.0 */
/* The MADT as firmware hands it over. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/acpi/madt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct madt_info m;

	(void)!madt_parse(data, size, &m);
	if (m.ioapic_count > MADT_IOAPIC_MAX)
		abort();
	for (uint32_t i = 0; i < m.ioapic_count; i++)
		if (m.ioapic[i].addr == 0)
			abort();
	return 0;
}
