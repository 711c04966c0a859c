// SPDX-License-Identifier: Apache-2.0
/*
 * The table walk. Firmware data is read by memcpy: nothing promises alignment.
 */
#include <string.h>

#include "kernel/acpi/walk.h"
#include "kernel/lib/err.h"

/* ACPI 6.5, 5.2.5.3 */
struct acpi_rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision; /* 0: ACPI 1.0, no fields beyond rsdt */
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t ext_checksum; /* of @length bytes */
	uint8_t reserved[3];
} __packed;
#define RSDP_V1_LEN  20u
#define RSDP_V2_LEN  36u
#define RSDP_LEN_MAX 4096u
BUILD_ASSERT(sizeof(struct acpi_rsdp) == RSDP_V2_LEN, "ACPI 6.5 table 5.3");

/* FADT (5.2.9): where it points to other tables. */
#define FADT_FIRMWARE_CTRL   36u
#define FADT_DSDT            40u
#define FADT_X_FIRMWARE_CTRL 132u
#define FADT_X_DSDT          140u

/* FACS (5.2.10): signature and length only, no checksum. */
#define FACS_LEN_MIN 64u

uint8_t acpi_checksum(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + b[i]);
	return sum;
}

static const void *map_range(const struct acpi_mem *mem, uint64_t hpa, size_t len)
{
	if (hpa == 0 || len > UINT64_MAX - hpa)
		return NULL;
	return mem->map(mem->ctx, hpa, len);
}

static bool rsdp_read(const struct acpi_mem *mem, uint64_t hpa, struct acpi_rsdp *out)
{
	struct acpi_rsdp r = {.revision = 0};
	uint32_t len;
	const void *p = map_range(mem, hpa, RSDP_V1_LEN);
	bool ok;

	if (!p)
		return false;
	memcpy(&r, p, RSDP_V1_LEN);
	mem->unmap(mem->ctx, p, RSDP_V1_LEN);
	if (memcmp(r.signature, "RSD PTR ", sizeof(r.signature)) != 0 ||
	    acpi_checksum(&r, RSDP_V1_LEN) != 0)
		return false;
	*out = r;
	if (r.revision < 2)
		return true;

	/* A bad second half leaves the first one usable: carry on as ACPI 1.0. */
	out->revision = 0;
	p = map_range(mem, hpa, RSDP_V2_LEN);
	if (!p)
		return true;
	memcpy(&r, p, RSDP_V2_LEN);
	mem->unmap(mem->ctx, p, RSDP_V2_LEN);
	len = r.length;
	if (len < RSDP_V2_LEN || len > RSDP_LEN_MAX)
		return true;
	p = map_range(mem, hpa, len);
	if (!p)
		return true;
	ok = acpi_checksum(p, len) == 0;
	mem->unmap(mem->ctx, p, len);
	if (ok)
		*out = r;
	return true;
}

static bool list_has(const struct acpi_table_list *list, uint64_t hpa)
{
	for (uint32_t i = 0; i < list->count; i++) {
		if (list->t[i].hpa == hpa)
			return true;
	}
	return false;
}

/* Map, check and append one table. @want: signature it must have, or NULL. */
static const struct acpi_table *table_add(const struct acpi_mem *mem, struct acpi_table_list *list,
					  uint64_t hpa, const char *want)
{
	struct acpi_table *t;
	const void *p;
	char sig[4];
	uint32_t len;
	bool facs;

	if (list->count == ACPI_TABLES_MAX)
		goto reject;
	p = map_range(mem, hpa, 8);
	if (!p)
		goto reject;
	memcpy(sig, p, sizeof(sig));
	memcpy(&len, (const uint8_t *)p + 4, sizeof(len));
	mem->unmap(mem->ctx, p, 8);

	facs = memcmp(sig, "FACS", 4) == 0;
	if (want && memcmp(sig, want, 4) != 0)
		goto reject;
	if (len < (facs ? FACS_LEN_MIN : ACPI_SDT_HDR_LEN) || len > ACPI_TABLE_LEN_MAX)
		goto reject;
	p = map_range(mem, hpa, len);
	if (!p)
		goto reject;
	if (!facs && acpi_checksum(p, len) != 0) {
		mem->unmap(mem->ctx, p, len);
		goto reject;
	}
	t = &list->t[list->count++];
	*t = (struct acpi_table){.data = p, .hpa = hpa, .len = len};
	memcpy(t->sig, sig, sizeof(sig));
	return t;

reject:
	list->rejected++;
	return NULL;
}

/* The 64-bit field wins when the table is long enough to have it and it is set. */
static uint64_t fadt_pointer(const struct acpi_table *fadt, uint32_t off32, uint32_t off64)
{
	const uint8_t *b = fadt->data;
	uint64_t wide = 0;
	uint32_t narrow = 0;

	if (fadt->len >= off64 + sizeof(wide))
		memcpy(&wide, b + off64, sizeof(wide));
	if (wide != 0)
		return wide;
	if (fadt->len >= off32 + sizeof(narrow))
		memcpy(&narrow, b + off32, sizeof(narrow));
	return narrow;
}

static void fadt_follow(const struct acpi_mem *mem, struct acpi_table_list *list,
			const struct acpi_table *fadt)
{
	uint64_t dsdt = fadt_pointer(fadt, FADT_DSDT, FADT_X_DSDT);
	uint64_t facs = fadt_pointer(fadt, FADT_FIRMWARE_CTRL, FADT_X_FIRMWARE_CTRL);

	if (dsdt != 0 && !list_has(list, dsdt))
		(void)table_add(mem, list, dsdt, "DSDT");
	if (facs != 0 && !list_has(list, facs))
		(void)table_add(mem, list, facs, "FACS");
}

static void root_follow(const struct acpi_mem *mem, struct acpi_table_list *list,
			const struct acpi_table *root, uint32_t entry_size)
{
	const uint8_t *entries = (const uint8_t *)root->data + ACPI_SDT_HDR_LEN;
	uint32_t n = (root->len - ACPI_SDT_HDR_LEN) / entry_size;

	for (uint32_t i = 0; i < n; i++) {
		const struct acpi_table *t;
		uint64_t hpa = 0;

		/* Every entry past the limit would be mapped only to be refused. */
		if (list->count == ACPI_TABLES_MAX) {
			list->rejected += n - i;
			return;
		}
		memcpy(&hpa, entries + (size_t)i * entry_size, entry_size);
		if (hpa == 0 || list_has(list, hpa))
			continue;
		t = table_add(mem, list, hpa, NULL);
		if (t && memcmp(t->sig, "FACP", 4) == 0)
			fadt_follow(mem, list, t);
	}
}

int acpi_walk(const struct acpi_mem *mem, uint64_t rsdp, struct acpi_table_list *out)
{
	const struct acpi_table *root = NULL;
	struct acpi_rsdp r;

	memset(out, 0, sizeof(*out));
	if (!rsdp_read(mem, rsdp, &r))
		return -RAY_ENODEV;
	out->rsdp_revision = r.revision;
	memcpy(out->oem_id, r.oem_id, sizeof(out->oem_id));

	if (r.revision >= 2 && r.xsdt != 0)
		root = table_add(mem, out, r.xsdt, "XSDT");
	if (root) {
		root_follow(mem, out, root, sizeof(uint64_t));
		return 0;
	}
	if (r.rsdt != 0)
		root = table_add(mem, out, r.rsdt, "RSDT");
	if (!root)
		return -RAY_EPROTO;
	root_follow(mem, out, root, sizeof(uint32_t));
	return 0;
}

const struct acpi_table *acpi_walk_find(const struct acpi_table_list *list, const char sig[4],
					unsigned int instance)
{
	for (uint32_t i = 0; i < list->count; i++) {
		if (memcmp(list->t[i].sig, sig, 4) == 0 && instance-- == 0)
			return &list->t[i];
	}
	return NULL;
}
