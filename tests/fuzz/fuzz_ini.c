/* UNIT: kernel/lib/ini.c kernel/lib/utf8.c */
/* PARSER: kernel/lib/ini.c kernel/lib/utf8.c */
// SPDX-License-Identifier: Apache-2.0
/* The configuration parser on any bytes: bounds, termination, and that it always ends. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/ini.h"
#include "kernel/lib/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ini ini;
	unsigned int last = 0;
	size_t events = 0;
	enum ini_event e;

	ini_init(&ini, data, size);
	while ((e = ini_next(&ini)) != INI_END) {
		if (ini.line <= last || ++events > size)
			abort();
		last = ini.line;
		if (e == INI_ERROR) {
			if (!ini.error)
				abort();
			continue;
		}
		if (strnlen(ini.section, INI_SECTION_MAX) == INI_SECTION_MAX ||
		    strnlen(ini.key, INI_KEY_MAX) == INI_KEY_MAX ||
		    strnlen(ini.value, INI_VALUE_MAX) == INI_VALUE_MAX ||
		    !utf8_valid(ini.value, strlen(ini.value)))
			abort();
	}
	return 0;
}
