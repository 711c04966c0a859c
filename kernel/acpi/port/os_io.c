// SPDX-License-Identifier: Apache-2.0
/* ACPICA's ways to hardware: ports and PCI configuration space. */
#include <acpi/acpi.h>

#include "kernel/arch/cpu.h"
#include "kernel/pci/pci.h"

acpi_status acpi_os_read_port(acpi_io_address address, u32 *value, u32 width)
{
	if (address > 0xffff)
		return AE_BAD_ADDRESS;
	switch (width) {
	case 8:
		*value = in8((uint16_t)address);
		return AE_OK;
	case 16:
		*value = in16((uint16_t)address);
		return AE_OK;
	case 32:
		*value = in32((uint16_t)address);
		return AE_OK;
	default:
		return AE_BAD_PARAMETER;
	}
}

acpi_status acpi_os_write_port(acpi_io_address address, u32 value, u32 width)
{
	if (address > 0xffff)
		return AE_BAD_ADDRESS;
	switch (width) {
	case 8:
		out8((uint16_t)address, (uint8_t)value);
		return AE_OK;
	case 16:
		out16((uint16_t)address, (uint16_t)value);
		return AE_OK;
	case 32:
		out32((uint16_t)address, value);
		return AE_OK;
	default:
		return AE_BAD_PARAMETER;
	}
}

static bool pci_decode(const struct acpi_pci_id *id, u32 reg, u32 width, pci_bdf_t *bdf)
{
	unsigned int bytes = width / 8;

	if (id->segment != 0 || id->bus > 255 || id->device > 31 || id->function > 7)
		return false;
	if (reg >= PCI_CFG_SIZE_PCIE || (width != 8 && width != 16 && width != 32) ||
	    reg % bytes != 0)
		return false;
	*bdf = PCI_BDF(id->bus, id->device, id->function);
	return true;
}

acpi_status acpi_os_read_pci_configuration(struct acpi_pci_id *pci_id, u32 reg, u64 *value,
					   u32 width)
{
	pci_bdf_t bdf;

	if (!pci_decode(pci_id, reg, width, &bdf))
		return AE_BAD_PARAMETER;
	*value = pci_config_read(bdf, reg, width / 8);
	return AE_OK;
}

acpi_status acpi_os_write_pci_configuration(struct acpi_pci_id *pci_id, u32 reg, u64 value,
					    u32 width)
{
	pci_bdf_t bdf;

	if (!pci_decode(pci_id, reg, width, &bdf))
		return AE_BAD_PARAMETER;
	pci_config_write(bdf, reg, width / 8, (uint32_t)value);
	return AE_OK;
}
