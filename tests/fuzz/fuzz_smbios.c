/* UNIT: kernel/smbios/parse.c */
/* PARSER: kernel/smbios/parse.c */
// SPDX-License-Identifier: Apache-2.0
/* The SMBIOS reader: the first 32 bytes are the entry point, the rest is the table. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/smbios/smbios.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t head = size < SMBIOS_ENTRY_MAX ? size : SMBIOS_ENTRY_MAX;
	struct smbios_entry e = {.count = UINT32_MAX};
	struct smbios_info info = {.major = 0};
	uint8_t *copy = malloc(size - head + 1);

	if (!copy)
		abort();
	(void)!smbios_entry_parse(data, head, &e);
	memcpy(copy, data + head, size - head);
	smbios_table_parse(copy, size - head, e.count, &info);
	if (strnlen(info.serial, SMBIOS_TEXT_MAX) == SMBIOS_TEXT_MAX ||
	    strnlen(info.vendor, SMBIOS_TEXT_MAX) == SMBIOS_TEXT_MAX)
		abort();
	free(copy);
	return 0;
}
