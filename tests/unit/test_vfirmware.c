/* UNIT: tests/host/fake_virt.c hv/vdev.c hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c
 * hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c hv/irqchip/vlapic_timer.c
 * hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/firmware.c devices/virt/acpi.c devices/virt/smbios.c
 * kernel/acpi/walk.c kernel/smbios/parse.c
 */
// SPDX-License-Identifier: Apache-2.0
/* A guest's firmware tables, read back with the kernel's own readers. */
#define _GNU_SOURCE /* memmem */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virt/firmware.h"
#include "kernel/acpi/walk.h"
#include "kernel/lib/err.h"
#include "kernel/smbios/smbios.h"
#include "tests/host/fake_virt.h"

static struct vm *vm;

static const void *map(void *ctx, uint64_t hpa, size_t len)
{
	(void)ctx;
	return gmem_ptr(&vm->mem, GPA(hpa), len);
}

static void unmap(void *ctx, const void *va, size_t len)
{
	(void)ctx;
	(void)va;
	(void)len;
}

static int setup(void **state)
{
	(void)state;
	vm = fake_vm_create(3);
	assert_int_equal(firmware_write(vm), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_destroy(vm);
	return 0;
}

static uint32_t le32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void test_acpi_tables_are_sound(void **state)
{
	const struct acpi_mem mem = {.map = map, .unmap = unmap};
	static struct acpi_table_list list;
	const struct acpi_table *t;
	const uint8_t *d;

	(void)state;
	assert_int_equal(acpi_walk(&mem, FIRMWARE_ACPI, &list), 0);
	assert_int_equal(list.rejected, 0);
	assert_int_equal(list.rsdp_revision, 2);
	assert_memory_equal(list.oem_id, "RAYOS ", 6);
	assert_non_null(acpi_walk_find(&list, "XSDT", 0));
	t = acpi_walk_find(&list, "FACS", 0);
	assert_non_null(t);
	assert_int_equal(t->hpa % 64, 0);
	t = acpi_walk_find(&list, "FACP", 0);
	assert_non_null(t);
	d = t->data;
	assert_int_equal(t->len, 276);
	assert_int_equal(d[46], 9);			  /* SCI */
	assert_int_equal(le32(d + 48), 0);		  /* no SMI port */
	assert_int_equal(le32(d + 56), 0x600);
	assert_int_equal(le32(d + 64), 0x604);
	assert_int_equal(le32(d + 76), 0x608);
	assert_int_equal(le32(d + 120), 0xcf9);		  /* reset register */
	assert_int_equal(d[128], 6);
	assert_memory_equal(d + 268, "RayOS\0\0\0", 8);
	/* The RSDT leads to the same tables. */
	d = gmem_ptr(&vm->mem, GPA(FIRMWARE_ACPI), 36);
	d = gmem_ptr(&vm->mem, GPA(le32(d + 16)), 44);
	assert_memory_equal(d, "RSDT", 4);
	assert_int_equal(acpi_checksum(d, 44), 0);
	assert_int_equal(le32(d + 36), t->hpa);
}

static void test_madt(void **state)
{
	const struct acpi_mem mem = {.map = map, .unmap = unmap};
	static struct acpi_table_list list;
	const struct acpi_table *t;
	const uint8_t *d, *end;
	unsigned int seen[5] = {0};

	(void)state;
	assert_int_equal(acpi_walk(&mem, FIRMWARE_ACPI, &list), 0);
	t = acpi_walk_find(&list, "APIC", 0);
	assert_non_null(t);
	d = t->data;
	end = d + t->len;
	assert_int_equal(le32(d + 36), 0xfee00000);
	for (d += 44; d < end; d += d[1]) {
		assert_true(d[1] >= 6 && d[0] < 5);
		if (d[0] == 0) {
			assert_int_equal(d[2], seen[0]);
			assert_int_equal(d[3], seen[0]);
			assert_int_equal(le32(d + 4), 1);
		}
		if (d[0] == 1)
			assert_int_equal(le32(d + 4), 0xfec00000);
		if (d[0] == 2 && d[3] == 0)
			assert_int_equal(le32(d + 4), 2);
		seen[d[0]]++;
	}
	assert_ptr_equal(d, end);
	assert_int_equal(seen[0], 3);
	assert_int_equal(seen[1], 1);
	assert_int_equal(seen[2], 2);
	assert_int_equal(seen[4], 1);
}

static void test_dsdt_knows_the_number_of_cpus(void **state)
{
	static const uint8_t want[] = {0x08, 'N', 'C', 'P', 'U', 0x0a, 3};
	const struct acpi_mem mem = {.map = map, .unmap = unmap};
	static struct acpi_table_list list;
	const struct acpi_table *t;

	(void)state;
	assert_int_equal(acpi_walk(&mem, FIRMWARE_ACPI, &list), 0);
	t = acpi_walk_find(&list, "DSDT", 0);
	assert_non_null(t);
	assert_non_null(memmem(t->data, t->len, want, sizeof(want)));
}

static void check_smbios(uint32_t at, uint32_t want_structures)
{
	struct smbios_entry e;
	struct smbios_info info = {0};

	assert_int_equal(smbios_entry_parse(gmem_ptr(&vm->mem, GPA(at), 0x20), 0x20, &e), 0);
	assert_int_equal(e.major, 3);
	assert_int_equal(e.table, FIRMWARE_SMBIOS + 0x40);
	if (want_structures)
		assert_int_equal(e.count, want_structures);
	smbios_table_parse(gmem_ptr(&vm->mem, GPA(e.table), e.table_len), e.table_len, e.count,
			   &info);
	assert_string_equal(info.bios_vendor, "RayOS");
	assert_string_equal(info.vendor, "RayOS");
	assert_string_equal(info.product, "RayOS Virtual Machine");
	assert_string_equal(info.serial, "fake");
}

static void test_smbios(void **state)
{
	(void)state;
	check_smbios(FIRMWARE_SMBIOS, 9);
	check_smbios(FIRMWARE_SMBIOS + 0x20, 0);
}

static void test_uuid_follows_the_name(void **state)
{
	static uint8_t a[4096], b[4096];
	struct virt_smbios m = {.name = "one", .memory = GIB(64), .cpus = 8};
	size_t len = virt_smbios_build(a, sizeof(a), FIRMWARE_SMBIOS, &m);

	(void)state;
	assert_true(len > 0);
	assert_int_equal(virt_smbios_build(b, sizeof(b), FIRMWARE_SMBIOS, &m), len);
	assert_memory_equal(a, b, len);
	m.name = "two";
	memset(b, 0, sizeof(b));
	assert_int_equal(virt_smbios_build(b, sizeof(b), FIRMWARE_SMBIOS, &m), len);
	assert_memory_not_equal(a, b, len);
}

static void test_too_small_a_place(void **state)
{
	size_t full;
	struct virt_smbios m = {.name = "x", .memory = GIB(1), .cpus = 1};

	(void)state;
	for (size_t cap = 0; cap < FIRMWARE_ACPI_SIZE; cap += 16) {
		uint8_t *out = calloc(1, cap + 1);
		size_t len = virt_acpi_build(out, cap, FIRMWARE_ACPI, 8);

		free(out);
		assert_true(len <= cap);
		if (len)
			break;
		assert_true(cap + 16 < FIRMWARE_ACPI_SIZE);
	}
	full = 0;
	for (size_t cap = 0; !full; cap++) {
		uint8_t *out = calloc(1, cap + 1);

		full = virt_smbios_build(out, cap, FIRMWARE_SMBIOS, &m);
		free(out);
		assert_true(cap < 4096);
	}
	fake_allocs_left = 0;
	assert_int_equal(firmware_write(vm), -RAY_ENOMEM);
	fake_allocs_left = -1;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_acpi_tables_are_sound),
		T(test_madt),
		T(test_dsdt_knows_the_number_of_cpus),
		T(test_smbios),
		T(test_uuid_follows_the_name),
		T(test_too_small_a_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
