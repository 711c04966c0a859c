/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI and SMBIOS entry points from the configuration tables, and the walk to one ACPI table.
 * Tables are only followed after signature, length and checksum hold (ACPI 6.5, 5.2).
 */
#include <string.h>

#include "boot/efi.h"
#include "boot/hw.h"
#include "boot/mem.h"

#define TABLE_HEAD 36u
#define TABLE_MAX  MIB(1)
#define RSDP_V1    20u
#define RSDP_V2    36u

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

static bool sums_to_zero(const uint8_t *p, uint32_t len)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return sum == 0;
}

static const uint8_t *table_check(uint64_t addr, const char *signature, uint32_t *len)
{
	const uint8_t *t = mem_ptr(addr);

	if (t == NULL || memcmp(t, signature, 4) != 0)
		return NULL;
	memcpy(len, t + 4, sizeof(*len));
	if (*len < TABLE_HEAD || *len > TABLE_MAX || !sums_to_zero(t, *len))
		return NULL;
	return t;
}

/* The XSDT, or the RSDT of an ACPI 1.0 machine. */
static const uint8_t *root_table(const uint8_t *rsdp, uint32_t *len, uint32_t *entry_size)
{
	const uint8_t *t = NULL;
	uint64_t xsdt;
	uint32_t rsdt;

	if (memcmp(rsdp, "RSD PTR ", 8) != 0 || !sums_to_zero(rsdp, RSDP_V1))
		return NULL;
	if (rsdp[15] >= 2 && sums_to_zero(rsdp, RSDP_V2)) {
		memcpy(&xsdt, rsdp + 24, sizeof(xsdt));
		t = table_check(xsdt, "XSDT", len);
		*entry_size = 8;
	}
	if (t == NULL) {
		memcpy(&rsdt, rsdp + 16, sizeof(rsdt));
		t = table_check(rsdt, "RSDT", len);
		*entry_size = 4;
	}
	return t;
}

const void *acpi_table(const struct boot_info *bi, const char *signature, uint32_t *len)
{
	uint32_t root_len, entry_size;
	const uint8_t *root;

	if ((bi->features & BOOT_FEAT_ACPI) == 0)
		return NULL;
	root = root_table(mem_ptr(bi->acpi_rsdp), &root_len, &entry_size);
	if (root == NULL)
		return NULL;
	for (uint32_t off = TABLE_HEAD; off + entry_size <= root_len; off += entry_size) {
		uint64_t addr = 0;
		const uint8_t *t;

		memcpy(&addr, root + off, entry_size);
		t = table_check(addr, signature, len);
		if (t != NULL)
			return t;
	}
	return NULL;
}
