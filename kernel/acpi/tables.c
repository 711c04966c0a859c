// SPDX-License-Identifier: Apache-2.0
#define LOG_TAG "acpi"
#include "boot/boot_info.h"
#include "kernel/acpi/guard.h"
#include "kernel/acpi/tables.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/mm/vmap.h"

static struct acpi_table_list tables;
static hpa_t rsdp_hpa;

static const void *phys_map(void *ctx, uint64_t hpa, size_t len)
{
	enum vmap_cache cache;

	(void)ctx;
	if (!acpi_guard_allows(hpa, len, &cache))
		return NULL;
	return vmap(HPA(hpa), len, cache, false);
}

static void phys_unmap(void *ctx, const void *va, size_t len)
{
	(void)ctx;
	(void)len;
	vunmap((void *)(uintptr_t)va);
}

int acpi_tables_init(const struct boot_info *bi)
{
	static const struct acpi_mem mem = {.map = phys_map, .unmap = phys_unmap};
	int err;

	if (!(bi->features & BOOT_FEAT_ACPI)) {
		log_info("firmware has no ACPI");
		return -RAY_ENODEV;
	}
	err = acpi_walk(&mem, bi->acpi_rsdp, &tables);
	if (err) {
		log_warn("tables unusable: %s rsdp=0x%llx", ray_strerror(err),
			 (unsigned long long)bi->acpi_rsdp);
		return err;
	}
	rsdp_hpa = HPA(bi->acpi_rsdp);
	if (tables.rejected)
		log_warn("damaged tables left out: count=%u", tables.rejected);
	log_info("tables found: count=%u revision=%u", tables.count, tables.rsdp_revision);
	return 0;
}

const void *acpi_table_find(const char sig[4], unsigned int instance, size_t *len)
{
	const struct acpi_table *t = acpi_walk_find(&tables, sig, instance);

	if (!t)
		return NULL;
	*len = t->len;
	return t->data;
}

const struct acpi_table_list *acpi_tables(void)
{
	return &tables;
}

hpa_t acpi_rsdp_hpa(void)
{
	return rsdp_hpa;
}
