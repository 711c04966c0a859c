/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables of a guest (ACPI 6.4, chapter 5): RSDP, RSDT, XSDT, FADT, FACS, MADT, and the
 * DSDT compiled from devices/virt/acpi/dsdt.asl.
 */
#include "devices/virt/firmware.h"

#include <string.h>

#include "devices/virt/virt.h"
#include "dsdt_aml.h"
#include "kernel/panic.h"

#define ACPI_IO_SPACE  1u
#define IOAPIC_ADDRESS 0xfec00000u
#define LAPIC_ADDRESS  0xfee00000u

struct acpi_header {
	char sig[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __packed;

struct acpi_rsdp {
	char sig[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t ext_checksum, reserved[3];
} __packed;

struct acpi_gas {
	uint8_t space, width, offset, access;
	uint64_t address;
} __packed;

struct acpi_fadt {
	struct acpi_header h;
	uint32_t facs, dsdt;
	uint8_t reserved0, profile;
	uint16_t sci;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base;
	uint8_t cst;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct acpi_gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct acpi_gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr, x_gpe0,
		x_gpe1, sleep_control, sleep_status;
	char hypervisor[8];
} __packed;
BUILD_ASSERT(sizeof(struct acpi_fadt) == 276, "ACPI 6.4, table 5.9");
BUILD_ASSERT(offsetof(struct acpi_fadt, flags) == 112, "ACPI 6.4, table 5.9");
BUILD_ASSERT(offsetof(struct acpi_fadt, x_facs) == 132, "ACPI 6.4, table 5.9");

#define FADT_VGA_NOT_PRESENT BIT(2)
#define FADT_LEGACY_DEVICES  BIT(0)
#define FADT_WBINVD          BIT(0)
#define FADT_PROC_C1         BIT(2)
#define FADT_SLP_BUTTON      BIT(5) /* none as fixed hardware */
#define FADT_FIX_RTC         BIT(6) /* no RTC wake in fixed hardware */
#define FADT_TMR_VAL_EXT     BIT(8)
#define FADT_RESET_REG       BIT(10)

struct acpi_facs {
	char sig[4];
	uint32_t length, hardware_signature, waking_vector, global_lock, flags;
	uint64_t x_waking_vector;
	uint8_t version, reserved[31];
} __packed;
BUILD_ASSERT(sizeof(struct acpi_facs) == 64, "ACPI 6.4, table 5.11");

struct madt_cpu {
	uint8_t type, len, uid, apic_id;
	uint32_t flags;
} __packed;
struct madt_ioapic {
	uint8_t type, len, id, reserved;
	uint32_t address, gsi_base;
} __packed;
struct madt_override {
	uint8_t type, len, bus, source;
	uint32_t gsi;
	uint16_t flags;
} __packed;
struct madt_nmi {
	uint8_t type, len, uid;
	uint16_t flags;
	uint8_t lint;
} __packed;
#define MADT_ACTIVE_HIGH_LEVEL 0x000du

/* Where the next table goes. */
struct builder {
	uint8_t *out;
	size_t cap, len;
	uint32_t gpa;
};

static void *take(struct builder *b, size_t bytes, size_t align)
{
	size_t at = ALIGN_UP(b->len, align);

	if (at > b->cap || bytes > b->cap - at)
		return NULL;
	b->len = at + bytes;
	return b->out + at;
}

static uint32_t gpa_of(const struct builder *b, const void *p)
{
	return b->gpa + (uint32_t)((const uint8_t *)p - b->out);
}

static void header(void *table, const char *sig, size_t length, uint8_t revision)
{
	struct acpi_header *h = table;

	memcpy(h->sig, sig, 4);
	h->length = (uint32_t)length;
	h->revision = revision;
	memcpy(h->oem_id, "RAYOS ", 6);
	memcpy(h->oem_table, "RAYOSVM ", 8);
	h->oem_revision = 1;
	memcpy(h->creator, "RAYO", 4);
	h->creator_revision = 1;
	h->checksum = 0;
	h->checksum = firmware_checksum(table, length);
}

/* NCPU in the DSDT is compiled as this; the byte behind it is the number of CPUs. */
static const uint8_t ncpu_name[] = {0x08, 'N', 'C', 'P', 'U', 0x0a};

static uint8_t *dsdt_put(struct builder *b, unsigned int cpus)
{
	uint8_t *d = take(b, sizeof(dsdt_aml), 16);
	size_t i;

	if (!d)
		return NULL;
	memcpy(d, dsdt_aml, sizeof(dsdt_aml));
	for (i = 0; i + sizeof(ncpu_name) < sizeof(dsdt_aml); i++) {
		if (memcmp(d + i, ncpu_name, sizeof(ncpu_name)) == 0)
			break;
	}
	ASSERT(i + sizeof(ncpu_name) < sizeof(dsdt_aml));
	d[i + sizeof(ncpu_name)] = (uint8_t)cpus;
	d[9] = 0;
	d[9] = firmware_checksum(d, sizeof(dsdt_aml));
	return d;
}

static struct acpi_gas io_gas(uint32_t port, uint8_t width, uint8_t access)
{
	return (struct acpi_gas){
		.space = ACPI_IO_SPACE, .width = width, .access = access, .address = port};
}

static struct acpi_fadt *fadt_put(struct builder *b, uint32_t facs, uint32_t dsdt)
{
	struct acpi_fadt *f = take(b, sizeof(*f), 16);

	if (!f)
		return NULL;
	f->facs = facs;
	f->dsdt = dsdt;
	f->x_dsdt = dsdt;
	f->sci = VIRT_IRQ_SCI;
	f->pm1a_evt = VIRT_PORT_PM1_EVT;
	f->pm1a_cnt = VIRT_PORT_PM1_CNT;
	f->pm_tmr = VIRT_PORT_PM_TMR;
	f->gpe0 = VIRT_PORT_GPE0;
	f->pm1_evt_len = 4;
	f->pm1_cnt_len = 2;
	f->pm_tmr_len = 4;
	f->gpe0_len = 4; /* two bytes of status, two of enable */
	f->c2_latency = 0xfff; /* no C2, no C3 */
	f->c3_latency = 0xfff;
	f->century = 0x32;
	f->boot_arch = FADT_LEGACY_DEVICES | FADT_VGA_NOT_PRESENT;
	f->flags = FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_FIX_RTC |
		   FADT_TMR_VAL_EXT | FADT_RESET_REG;
	f->reset_reg = io_gas(VIRT_PORT_RESET, 8, 1);
	f->reset_value = VIRT_RESET_VALUE;
	f->minor = 4;
	f->x_pm1a_evt = io_gas(VIRT_PORT_PM1_EVT, 32, 2);
	f->x_pm1a_cnt = io_gas(VIRT_PORT_PM1_CNT, 16, 2);
	f->x_pm_tmr = io_gas(VIRT_PORT_PM_TMR, 32, 3);
	f->x_gpe0 = io_gas(VIRT_PORT_GPE0, 32, 1);
	memcpy(f->hypervisor, "RayOS", 5);
	header(f, "FACP", sizeof(*f), 6);
	return f;
}

static uint8_t *madt_put(struct builder *b, unsigned int cpus)
{
	const struct madt_ioapic io = {1, sizeof(io), 0, 0, IOAPIC_ADDRESS, 0};
	const struct madt_override over[] = {
		{2, sizeof(over[0]), 0, 0, 2, 0},
		{2, sizeof(over[0]), 0, VIRT_IRQ_SCI, VIRT_IRQ_SCI, MADT_ACTIVE_HIGH_LEVEL},
	};
	const struct madt_nmi nmi = {4, sizeof(nmi), 0xff, 0, 1};
	const uint32_t fixed[2] = {LAPIC_ADDRESS, 1 /* 8259 pair present */};
	size_t len = sizeof(struct acpi_header) + sizeof(fixed) + cpus * sizeof(struct madt_cpu) +
		     sizeof(io) + sizeof(over) + sizeof(nmi);
	uint8_t *m = take(b, len, 16), *p;

	if (!m)
		return NULL;
	p = m + sizeof(struct acpi_header);
	memcpy(p, fixed, sizeof(fixed));
	p += sizeof(fixed);
	for (unsigned int i = 0; i < cpus; i++) {
		const struct madt_cpu cpu = {0, sizeof(cpu), (uint8_t)i, (uint8_t)i, 1};

		memcpy(p, &cpu, sizeof(cpu));
		p += sizeof(cpu);
	}
	memcpy(p, &io, sizeof(io));
	p += sizeof(io);
	memcpy(p, over, sizeof(over));
	p += sizeof(over);
	memcpy(p, &nmi, sizeof(nmi));
	header(m, "APIC", len, 5);
	return m;
}

/* RSDT for who knows no better, XSDT for the rest. */
static void *root_put(struct builder *b, const char *sig, const uint32_t *tables, unsigned int n,
		      size_t width)
{
	size_t len = sizeof(struct acpi_header) + n * width;
	uint8_t *r = take(b, len, 16);

	if (!r)
		return NULL;
	for (unsigned int i = 0; i < n; i++)
		memcpy(r + sizeof(struct acpi_header) + i * width, &tables[i], sizeof(tables[i]));
	header(r, sig, len, 1);
	return r;
}

size_t virt_acpi_build(uint8_t *out, size_t cap, uint32_t gpa, unsigned int cpus)
{
	struct builder b = {.out = out, .cap = cap, .gpa = gpa};
	struct acpi_rsdp *rsdp = take(&b, sizeof(*rsdp), 16);
	struct acpi_facs *facs = take(&b, sizeof(*facs), 64);
	uint8_t *dsdt = dsdt_put(&b, cpus), *madt = madt_put(&b, cpus);
	struct acpi_fadt *fadt;
	void *rsdt, *xsdt;
	uint32_t tables[2];

	if (!rsdp || !facs || !dsdt || !madt)
		return 0;
	memcpy(facs->sig, "FACS", 4);
	facs->length = sizeof(*facs);
	facs->version = 2;
	fadt = fadt_put(&b, gpa_of(&b, facs), gpa_of(&b, dsdt));
	if (!fadt)
		return 0;
	tables[0] = gpa_of(&b, fadt);
	tables[1] = gpa_of(&b, madt);
	rsdt = root_put(&b, "RSDT", tables, ARRAY_SIZE(tables), 4);
	xsdt = root_put(&b, "XSDT", tables, ARRAY_SIZE(tables), 8);
	if (!rsdt || !xsdt)
		return 0;
	memcpy(rsdp->sig, "RSD PTR ", 8);
	memcpy(rsdp->oem_id, "RAYOS ", 6);
	rsdp->revision = 2;
	rsdp->rsdt = gpa_of(&b, rsdt);
	rsdp->length = sizeof(*rsdp);
	rsdp->xsdt = gpa_of(&b, xsdt);
	rsdp->checksum = firmware_checksum((const uint8_t *)rsdp, 20);
	rsdp->ext_checksum = firmware_checksum((const uint8_t *)rsdp, sizeof(*rsdp));
	return b.len;
}
