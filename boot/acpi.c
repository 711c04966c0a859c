/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI and SMBIOS entry points from the configuration tables, and one ACPI table by name.
 * The walk itself is the kernel's (kernel/acpi/walk.h), which checks everything it follows;
 * here is what it may touch: a stray pointer would be a fault that nobody handles.
 */
#include "boot/efi.h"
#include "boot/exit.h"
#include "boot/hw.h"
#include "boot/mem.h"
#include "kernel/acpi/walk.h"

void acpi_collect(struct boot_info *bi)
{
	static const EFI_GUID acpi2 = ACPI_20_TABLE_GUID, acpi1 = ACPI_TABLE_GUID;
	static const EFI_GUID smbios3 = SMBIOS3_TABLE_GUID, smbios2 = SMBIOS_TABLE_GUID;
	void *rsdp = efi_config_table(&acpi2);
	void *smbios = efi_config_table(&smbios3);

	if (rsdp == NULL)
		rsdp = efi_config_table(&acpi1);
	if (smbios == NULL)
		smbios = efi_config_table(&smbios2);
	if (rsdp != NULL) {
		bi->acpi_rsdp = (uintptr_t)rsdp;
		bi->features |= BOOT_FEAT_ACPI;
	}
	if (smbios != NULL) {
		bi->smbios = (uintptr_t)smbios;
		bi->features |= BOOT_FEAT_SMBIOS;
	}
}

static const void *firmware_map(void *ctx, uint64_t hpa, size_t len)
{
	(void)ctx;
	return exit_map_covers(hpa, len) ? mem_ptr(hpa) : NULL;
}

static void firmware_unmap(void *ctx, const void *va, size_t len)
{
	(void)ctx;
	(void)va;
	(void)len;
}

const void *acpi_table(const struct boot_info *bi, const char signature[4], uint32_t *len)
{
	static const struct acpi_mem mem = {.map = firmware_map, .unmap = firmware_unmap};
	static struct acpi_table_list list; /* too large for the firmware's stack */
	const struct acpi_table *t;

	if ((bi->features & BOOT_FEAT_ACPI) == 0 || acpi_walk(&mem, bi->acpi_rsdp, &list) != 0)
		return NULL;
	t = acpi_walk_find(&list, signature, 0);
	if (t == NULL)
		return NULL;
	*len = t->len;
	return t->data;
}
