/* SPDX-License-Identifier: Apache-2.0 */
/* CPU list from the MADT, see madt.h. */
#include "boot/madt.h"

#include <string.h>

#define MADT_ENTRIES  44u /* table header, local APIC address, flags */
#define MADT_LAPIC    0u
#define MADT_X2APIC   9u
#define LAPIC_LEN     8u
#define X2APIC_LEN    16u
#define CPU_ENABLED   (1u << 0)
#define LAPIC_ID_NONE 0xffu

static uint32_t u32_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* ACPI 6.5, 5.2.12.2 and 5.2.12.12. */
static bool entry_cpu(const uint8_t *e, uint8_t len, uint32_t *id)
{
	if (e[0] == MADT_LAPIC && len >= LAPIC_LEN) {
		*id = e[3];
		return (u32_at(e + 4) & CPU_ENABLED) != 0 && e[3] != LAPIC_ID_NONE;
	}
	if (e[0] == MADT_X2APIC && len >= X2APIC_LEN) {
		*id = u32_at(e + 4);
		return (u32_at(e + 8) & CPU_ENABLED) != 0 && *id != UINT32_MAX;
	}
	return false;
}

static bool known(const struct boot_cpu *cpus, uint32_t n, uint32_t id)
{
	for (uint32_t i = 0; i < n; i++)
		if (cpus[i].apic_id == id)
			return true;
	return false;
}

uint32_t madt_cpus(const void *madt, uint32_t len, uint32_t bsp, struct boot_cpu *out, uint32_t max)
{
	const uint8_t *table = madt;
	uint32_t n = 0;

	for (uint32_t off = MADT_ENTRIES; off + 2 <= len && n < max;) {
		const uint8_t *e = table + off;
		uint8_t entry_len = e[1];
		uint32_t id;

		if (entry_len < 2 || entry_len > len - off)
			break;
		if (entry_cpu(e, entry_len, &id) && !known(out, n, id))
			out[n++] = (struct boot_cpu){
				.apic_id = id,
				.flags = BOOT_CPU_ENABLED | (id == bsp ? BOOT_CPU_BSP : 0),
			};
		off += entry_len;
	}
	return n;
}
