// SPDX-License-Identifier: Apache-2.0
/* The FADT's reset register (ACPI 6.5, 4.8.3.6). Used by panic: everything is prepared here. */
#define LOG_TAG "acpi"
#include "kernel/acpi/acpi.h"
#include "kernel/acpi/fadt.h"
#include "kernel/acpi/guard.h"
#include "kernel/acpi/tables.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/reset.h"
#include "kernel/log.h"
#include "kernel/pci/access.h"
#include "kernel/pci/pci_regs.h"

static struct acpi_fadt fadt;
static volatile uint8_t *reset_mem;

static void reset_by_io(void)
{
	out8((uint16_t)fadt.reset_reg.address, fadt.reset_value);
}

static void reset_by_memory(void)
{
	*reset_mem = fadt.reset_value;
}

/* 5.2.3.2: device in bits 47..32, function in 31..16, offset in 15..0, of bus 0. No locks here. */
static void reset_by_pci(void)
{
	uint64_t a = fadt.reset_reg.address;
	uint32_t bdf = PCI_BDF(0, a >> 32 & 0x1f, a >> 16 & 7);

	out32(0xcf8, 0x80000000u | bdf << 8 | (a & 0xfc));
	out8((uint16_t)(0xcfc + (a & 3)), fadt.reset_value);
}

void acpi_reset_init(void)
{
	const struct acpi_gas *r = &fadt.reset_reg;
	enum vmap_cache cache;
	const void *table;
	size_t len;

	table = acpi_table_find("FACP", 0, &len);
	if (!table || acpi_fadt_parse(table, len, &fadt) != 0 || r->address == 0)
		return;
	if (r->space == ACPI_SPACE_IO && r->address <= 0xffff) {
		arch_reset_hook_set(reset_by_io);
	} else if (r->space == ACPI_SPACE_PCI && (r->address & 0xffff) < PCI_CFG_SIZE_PCI) {
		arch_reset_hook_set(reset_by_pci);
	} else if (r->space == ACPI_SPACE_MEMORY && acpi_guard_allows(r->address, 1, &cache)) {
		reset_mem = vmap(HPA(r->address), 1, VMAP_UC, true);
		if (reset_mem)
			arch_reset_hook_set(reset_by_memory);
	} else {
		log_warn("reset register unusable: space=%u address=0x%llx", r->space,
			 (unsigned long long)r->address);
	}
}
