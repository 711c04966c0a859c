// SPDX-License-Identifier: Apache-2.0
#define LOG_TAG "acpi"
#include "kernel/acpi/fadt.h"
#include "kernel/acpi/soft_off.h"
#include "kernel/acpi/tables.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/time/time.h"

/* PM1 control, ACPI 6.5, 4.8.3.2.1. */
#define PM1_SCI_EN    (1u << 0)
#define PM1_TYP_SHIFT 10u
#define PM1_TYP_MASK  (7u << PM1_TYP_SHIFT)
#define PM1_SLP_EN    (1u << 13)

/* Firmware's time to answer the SMI that turns ACPI mode on. */
#define ENABLE_TRIES 300u
#define ENABLE_NS    1000000u

static struct acpi_fadt fadt;
static struct acpi_s5 s5;

static bool is_port(const struct acpi_gas *g)
{
	return g->space == ACPI_SPACE_IO && g->address != 0 && g->address <= 0xfffe;
}

int acpi_soft_off_prepare(void)
{
	const uint8_t *dsdt;
	const void *table;
	size_t len;

	table = acpi_table_find("FACP", 0, &len);
	if (!table || acpi_fadt_parse(table, len, &fadt) != 0)
		return -RAY_ENODEV;
	dsdt = acpi_table_find("DSDT", 0, &len);
	if (!dsdt || (fadt.flags & ACPI_FADT_HW_REDUCED) || !is_port(&fadt.pm1a_control))
		return -RAY_ENOSYS;
	if (acpi_s5_scan(dsdt + ACPI_SDT_HDR_LEN, len - ACPI_SDT_HDR_LEN, &s5) != 0)
		return -RAY_ENOSYS;
	log_warn("switching off without firmware's code");
	return 0;
}

static void mode_enable(uint16_t pm1a)
{
	if ((in16(pm1a) & PM1_SCI_EN) || fadt.smi_port == 0 || fadt.acpi_enable == 0)
		return;
	out8(fadt.smi_port, fadt.acpi_enable);
	for (unsigned int i = 0; i < ENABLE_TRIES && !(in16(pm1a) & PM1_SCI_EN); i++)
		time_delay_ns(ENABLE_NS);
}

/* Type first, then the enable bit: some chipsets take only the second write. */
static void sleep_write(const struct acpi_gas *reg, uint8_t type)
{
	uint16_t port, v;

	if (!is_port(reg))
		return;
	port = (uint16_t)reg->address;
	v = (uint16_t)((in16(port) & ~(PM1_TYP_MASK | PM1_SLP_EN)) | (unsigned int)type << PM1_TYP_SHIFT);
	out16(port, v);
	out16(port, (uint16_t)(v | PM1_SLP_EN));
}

void acpi_soft_off_enter(void)
{
	mode_enable((uint16_t)fadt.pm1a_control.address);
	sleep_write(&fadt.pm1a_control, s5.type_a);
	sleep_write(&fadt.pm1b_control, s5.type_b);
}
