// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "kernel/acpi/fadt.h"
#include "kernel/lib/err.h"

#define OFF_SCI_INT      46u
#define OFF_SMI_CMD      48u
#define OFF_ACPI_ENABLE  52u
#define OFF_PM1A_CNT     64u
#define OFF_PM1B_CNT     68u
#define OFF_PM_TMR_BLK   76u
#define OFF_PM_TMR_LEN   91u
#define OFF_BOOT_ARCH    109u
#define OFF_FLAGS        112u
#define OFF_RESET_REG    116u
#define OFF_RESET_VALUE  128u
#define OFF_X_PM1A_CNT   172u
#define OFF_X_PM1B_CNT   184u
#define OFF_X_PM_TMR_BLK 208u
#define LEN_V1           116u
#define GAS_LEN          12u

static bool gas_get(const uint8_t *p, size_t len, size_t off, struct acpi_gas *out)
{
	struct acpi_gas g;

	if (len < off + GAS_LEN)
		return false;
	g.space = p[off];
	g.bit_width = p[off + 1];
	memcpy(&g.address, p + off + 4, sizeof(g.address));
	if (g.address == 0)
		return false;
	*out = g;
	return true;
}

/* A register block: the extended field when it is there and set, else the 32-bit port. */
static void block_get(const uint8_t *p, size_t len, size_t off, size_t off_x, uint8_t bits,
		      struct acpi_gas *out)
{
	uint32_t port;

	if (gas_get(p, len, off_x, out))
		return;
	memcpy(&port, p + off, sizeof(port));
	if (port != 0)
		*out = (struct acpi_gas){
			.space = ACPI_SPACE_IO, .bit_width = bits, .address = port};
}

int acpi_fadt_parse(const void *table, size_t len, struct acpi_fadt *out)
{
	const uint8_t *p = table;
	struct acpi_fadt f;
	uint32_t smi_cmd;

	memset(&f, 0, sizeof(f));
	if (len < LEN_V1)
		return -RAY_EPROTO;
	memcpy(&f.flags, p + OFF_FLAGS, sizeof(f.flags));
	memcpy(&f.boot_arch, p + OFF_BOOT_ARCH, sizeof(f.boot_arch));
	memcpy(&f.sci_irq, p + OFF_SCI_INT, sizeof(f.sci_irq));
	memcpy(&smi_cmd, p + OFF_SMI_CMD, sizeof(smi_cmd));
	f.smi_port = smi_cmd <= 0xffff ? (uint16_t)smi_cmd : 0;
	f.acpi_enable = p[OFF_ACPI_ENABLE];
	if (p[OFF_PM_TMR_LEN] == 4)
		block_get(p, len, OFF_PM_TMR_BLK, OFF_X_PM_TMR_BLK, 32, &f.pm_timer);
	block_get(p, len, OFF_PM1A_CNT, OFF_X_PM1A_CNT, 16, &f.pm1a_control);
	block_get(p, len, OFF_PM1B_CNT, OFF_X_PM1B_CNT, 16, &f.pm1b_control);
	if ((f.flags & ACPI_FADT_RESET_REG_SUP) && len > OFF_RESET_VALUE &&
	    gas_get(p, len, OFF_RESET_REG, &f.reset_reg))
		f.reset_value = p[OFF_RESET_VALUE];
	*out = f;
	return 0;
}
