/* UNIT: kernel/bootinfo.c */
// SPDX-License-Identifier: Apache-2.0
/* kernel/bootinfo.c: a good hand-over passes, and each single thing wrong with it is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/bootinfo.h"
#include "kernel/mm/page.h"
#include "tests/host/fake_heap.h"
#include "tests/host/fake_panic.h"

#define PHYS_BYTES   MIB(1)
#define LOADER_BASE  0x1000u
#define LOADER_LEN   0x8000u
#define MAP_ADDR     0x1000u
#define CPUS_ADDR    0x2000u
#define MODULES_ADDR 0x37c0u /* across the border of two entries */
#define CONF_ADDR    0x4000u

uint64_t mm_direct_base;
static uint8_t *phys;
static struct boot_info bi;

hpa_t va_to_hpa(const void *va)
{
	return HPA((uint64_t)(uintptr_t)va - mm_direct_base);
}

static struct boot_mem *map(void)
{
	return (struct boot_mem *)(void *)(phys + MAP_ADDR);
}

static int good(void **state)
{
	const struct boot_mem entries[] = {
		{ .base = LOADER_BASE + LOADER_LEN, .len = 0x10000, .type = BOOT_MEM_RAM },
		/* The loader's memory in two parts, in the wrong order. */
		{ .base = 0x3800, .len = LOADER_BASE + LOADER_LEN - 0x3800,
		  .type = BOOT_MEM_LOADER },
		{ .base = LOADER_BASE, .len = 0x2800, .type = BOOT_MEM_LOADER },
		{ .base = SIZE_2M, .len = SIZE_2M, .type = BOOT_MEM_KERNEL },
	};

	(void)state;
	phys = calloc(1, PHYS_BYTES);
	mm_direct_base = (uint64_t)(uintptr_t)phys;
	memcpy(map(), entries, sizeof(entries));
	memset(&bi, 0, sizeof(bi));
	bi.magic = BOOT_INFO_MAGIC;
	bi.size = sizeof(bi);
	bi.version = BOOT_INFO_VERSION;
	bi.features = BOOT_FEAT_CPUS | BOOT_FEAT_CONF;
	bi.phys_map_base = (uint64_t)(uintptr_t)phys;
	bi.kernel_phys = SIZE_2M;
	bi.kernel_size = SIZE_2M;
	bi.mem = (struct boot_blob){ MAP_ADDR, sizeof(entries) };
	bi.mem_count = ARRAY_SIZE(entries);
	bi.cpus = (struct boot_blob){ CPUS_ADDR, 2 * sizeof(struct boot_cpu) };
	bi.cpu_count = 2;
	bi.modules = (struct boot_blob){ MODULES_ADDR, 1 * sizeof(struct boot_module) };
	bi.module_count = 1;
	bi.conf = (struct boot_blob){ CONF_ADDR, 10 };
	return 0;
}

static int done(void **state)
{
	(void)state;
	free(phys);
	return 0;
}

static void test_good(void **state)
{
	(void)state;
	assert_null(bootinfo_check(&bi, phys));
}

/* One change, and the text that must name it. */
#define WRONG(change, text)                                                                \
	do {                                                                                   \
		const char *why_;                                                              \
		done(state);                                                                   \
		good(state);                                                                   \
		change;                                                                        \
		why_ = bootinfo_check(&bi, phys);                                              \
		assert_non_null(why_);                                                         \
		assert_non_null(strstr(why_, text));                                           \
	} while (0)

static void test_header(void **state)
{
	WRONG(bi.magic ^= 1, "no boot_info");
	WRONG(bi.version++, "another version");
	WRONG(bi.size--, "smaller");
	WRONG(bi.features |= BOOT_FEAT_KNOWN + 1, "features");
	WRONG(bi.mem_count = 0, "memory map");
	WRONG(bi.mem_count++, "memory map");
	WRONG(bi.mem.addr = UINT64_MAX - 8, "memory map");
	WRONG(bi.mem.addr += 4, "memory map");
	WRONG(bi.kernel_size = 0, "kernel image");
	WRONG(bi.kernel_size--, "kernel image");
	WRONG(bi.kernel_phys += PAGE_SIZE, "kernel image");
	WRONG(bi.entropy_len = BOOT_ENTROPY_MAX + 1, "entropy");
}

static void test_blobs(void **state)
{
	WRONG(map()[2].type = BOOT_MEM_RAM, "memory map lies outside");
	WRONG(map()[3].len -= PAGE_SIZE, "kernel image lies outside");
	WRONG(bi.cpus.addr = LOADER_BASE + LOADER_LEN - 8, "CPU list");
	WRONG(bi.cpu_count = 3, "CPU list");
	WRONG(bi.cpus.addr += 4, "CPU list");
	WRONG((bi.cpu_count = BOOTINFO_CPUS_MAX + 1,
	       bi.cpus.size = (BOOTINFO_CPUS_MAX + 1) * sizeof(struct boot_cpu)), "CPU list");
	WRONG(bi.module_count = 1u << 31, "module list");
	WRONG(bi.modules.addr = UINT64_MAX - 0xfff, "module list");
	WRONG(bi.conf.size = UINT64_MAX, "rayos.conf");
	WRONG(bi.conf.size = LOADER_LEN, "rayos.conf");
	WRONG((bi.log.addr = 0x100000, bi.log.size = 1), "log");
	WRONG((bi.features |= BOOT_FEAT_TCG_LOG, bi.tcg_log.size = 1), "TCG log");
	/* A hole of one byte between the loader's two parts. */
	WRONG((map()[1].base++, map()[1].len--), "module list");
}

static void test_features_gate_blobs(void **state)
{
	(void)state;
	bi.features = 0;
	bi.cpus.addr = bi.conf.addr = UINT64_MAX;
	assert_null(bootinfo_check(&bi, phys));
}

static void test_keep_copies(void **state)
{
	(void)state;
	memcpy(phys + CONF_ADDR, "[rayos]\n\n\n", 10);
	((struct boot_cpu *)(void *)(phys + CPUS_ADDR))[1].apic_id = 7;
	bi.features &= ~BOOT_FEAT_CONF;
	bootinfo_init(&bi);
	bootinfo_keep();
	memset(phys + LOADER_BASE, 0xff, LOADER_LEN);
	assert_int_equal(bootinfo()->cpu_count, 2);
	assert_int_equal(
		((struct boot_cpu *)hpa_to_va(HPA(bootinfo()->cpus.addr)))[1].apic_id, 7);
	assert_int_equal(bootinfo()->conf.size, 0); /* not offered: not looked at */
	assert_int_equal(bootinfo()->mem_count, 0);
	kfree(hpa_to_va(HPA(bootinfo()->cpus.addr)));
	kfree(hpa_to_va(HPA(bootinfo()->modules.addr)));
	assert_int_equal(fake_heap_live, 0);
}

static void test_seed_is_moved(void **state)
{
	static const uint8_t zero[BOOT_SEED_LEN];
	uint8_t seed[BOOT_SEED_LEN] = { 0 };

	(void)state;
	bootinfo_init(&bi);
	assert_int_equal(bootinfo_seed_take(seed), -RAY_ENOENT);
	memset(bi.seed, 0x5a, sizeof(bi.seed));
	bi.features |= BOOT_FEAT_EFI_SEED;
	bootinfo_init(&bi);
	assert_memory_equal(bi.seed, zero, sizeof(zero));
	assert_int_equal(bootinfo_seed_take(seed), 0);
	for (size_t i = 0; i < sizeof(seed); i++)
		assert_int_equal(seed[i], 0x5a);
	assert_memory_equal(bootinfo()->seed, zero, sizeof(zero));
	assert_int_equal(bootinfo_seed_take(seed), -RAY_ENOENT);
}

static void test_bad_one_panics(void **state)
{
	(void)state;
	bi.version = 9;
	EXPECT_PANIC(bootinfo_init(&bi));
	assert_non_null(strstr(fake_panic_reason, "another version"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_good, good, done),
		cmocka_unit_test_setup_teardown(test_header, good, done),
		cmocka_unit_test_setup_teardown(test_blobs, good, done),
		cmocka_unit_test_setup_teardown(test_features_gate_blobs, good, done),
		cmocka_unit_test_setup_teardown(test_keep_copies, good, done),
		cmocka_unit_test_setup_teardown(test_seed_is_moved, good, done),
		cmocka_unit_test_setup_teardown(test_bad_one_panics, good, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
