/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/acpi/madt.h"

#include <string.h>

#include "kernel/lib/err.h"

#define MADT_HEADER_LEN 44u
#define MADT_OFF_LAPIC  36u
#define MADT_OFF_FLAGS  40u
#define MADT_FLAG_PCAT  1u

enum madt_type {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_ADDR = 5,
	MADT_X2APIC = 9,
};

#define CPU_ENABLED 1u

/* MPS INTI flags, table 5.26. */
#define INTI_POLARITY(f) ((f) & 3u)
#define INTI_TRIGGER(f)  (((f) >> 2) & 3u)
#define INTI_ACTIVE_LOW  3u
#define INTI_LEVEL       3u

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

void madt_defaults(struct madt_info *out)
{
	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; i < MADT_ISA_IRQS; i++)
		out->isa[i].gsi = i;
}

static bool add_ioapic(struct madt_info *out, const uint8_t *e, size_t len)
{
	if (len < 12 || out->ioapic_count == MADT_IOAPIC_MAX || get32(e + 4) == 0)
		return false;
	out->ioapic[out->ioapic_count++] = (struct madt_ioapic){
		.id = e[2],
		.addr = get32(e + 4),
		.gsi_base = get32(e + 8),
	};
	return true;
}

static bool add_override(struct madt_info *out, const uint8_t *e, size_t len)
{
	uint16_t flags;

	/* Bus 0 is ISA, the only one there is. */
	if (len < 10 || e[2] != 0 || e[3] >= MADT_ISA_IRQS)
		return false;
	flags = get16(e + 8);
	out->isa[e[3]] = (struct madt_isa){
		.gsi = get32(e + 4),
		.level = INTI_TRIGGER(flags) == INTI_LEVEL,
		.active_low = INTI_POLARITY(flags) == INTI_ACTIVE_LOW,
	};
	return true;
}

static bool add_entry(struct madt_info *out, const uint8_t *e, size_t len)
{
	switch (e[0]) {
	case MADT_LAPIC:
		if (len < 8)
			return false;
		out->cpu_count += get32(e + 4) & CPU_ENABLED;
		return true;
	case MADT_X2APIC:
		if (len < 16)
			return false;
		out->cpu_count += get32(e + 8) & CPU_ENABLED;
		return true;
	case MADT_IOAPIC:
		return add_ioapic(out, e, len);
	case MADT_OVERRIDE:
		return add_override(out, e, len);
	case MADT_LAPIC_ADDR:
		if (len < 12)
			return false;
		out->lapic_addr = get32(e + 4) | (uint64_t)get32(e + 8) << 32;
		return true;
	default:
		return true; /* NMI sources and newer kinds are of no use here */
	}
}

int madt_parse(const void *table, size_t len, struct madt_info *out)
{
	const uint8_t *p = table;
	size_t at = MADT_HEADER_LEN;

	madt_defaults(out);
	if (len < MADT_HEADER_LEN)
		return -RAY_EPROTO;
	out->lapic_addr = get32(p + MADT_OFF_LAPIC);
	out->has_8259 = get32(p + MADT_OFF_FLAGS) & MADT_FLAG_PCAT;
	while (at < len) {
		size_t entry;

		if (len - at < 2)
			return -RAY_EPROTO;
		entry = p[at + 1];
		if (entry < 2 || entry > len - at)
			return -RAY_EPROTO;
		if (!add_entry(out, p + at, entry))
			out->ignored++;
		at += entry;
	}
	return 0;
}
