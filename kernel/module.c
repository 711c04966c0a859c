/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/module.h"

#include <string.h>

#include "kernel/bootinfo.h"
#include "kernel/lib/err.h"
#include "kernel/mm/page.h"

static const struct boot_module *modules(void)
{
	return hpa_to_va(HPA(bootinfo()->modules.addr));
}

int module_find(const char *name, const uint8_t **data, uint64_t *size)
{
	for (uint32_t i = 0; i < bootinfo()->module_count; i++) {
		const struct boot_module *m = &modules()[i];

		if (m->status == 0 && strncmp(m->name, name, BOOT_MODULE_NAME_MAX) == 0) {
			*data = hpa_to_va(HPA(m->addr));
			*size = m->size;
			return 0;
		}
	}
	return -RAY_ENOENT;
}

void module_for_each(void (*fn)(void *ctx, const char *name, uint64_t size, int status), void *ctx)
{
	for (uint32_t i = 0; i < bootinfo()->module_count; i++)
		fn(ctx, modules()[i].name, modules()[i].size, modules()[i].status);
}
