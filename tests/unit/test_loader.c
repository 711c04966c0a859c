/* UNIT: hv/loader/load.c hv/loader/bzimage.c hv/loader/elf.c hv/loader/elf_guest.c
 * hv/loader/e820.c hv/gmem.c hv/stage2.c hv/gbus.c kernel/lib/fmt.c kernel/lib/sink.c
 * tests/host/fake_backend.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * Guest images: what the guest finds in its memory and registers, and what is refused. Images
 * are made here byte by byte, then damaged one field at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hv/loader.h"
#include "hv/loader/elf.h"
#include "kernel/elf.h"
#include "tests/host/fake_hv.h"

const struct hv_backend *hv_backend;
struct hv_caps hv_caps;

#define MEMORY  MIB(32)
#define GDT     0x500u
#define PARAMS  0x7000u
#define TABLES  0x9000u
#define INFO    0x10000u
#define CMDLINE 0x20000u

static struct vm *vm;
static uint8_t file[256 << 10];
static uint64_t file_size;
static uint8_t initrd[5000];
static struct vm_image image;
static struct vm_entry entry;
static char why[200];

static int setup(void **state)
{
	(void)state;
	fake_allocs_left = -1;
	vm = fake_hv_vm(MEMORY, 1);
	memset(file, 0, sizeof(file));
	memset(&entry, 0, sizeof(entry));
	why[0] = '\0';
	for (size_t i = 0; i < sizeof(initrd); i++)
		initrd[i] = (uint8_t)(i * 3);
	image = (struct vm_image){ .kernel = file, .cmdline = "console=ttyS0" };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_hv_vm_free(vm);
	return 0;
}

static void p16(size_t at, uint16_t v)
{
	memcpy(file + at, &v, 2);
}

static void p32(size_t at, uint32_t v)
{
	memcpy(file + at, &v, 4);
}

static void p64(size_t at, uint64_t v)
{
	memcpy(file + at, &v, 8);
}

/* The file goes in as an exact heap block, so that reading past its end is seen. */
static int load(void)
{
	uint8_t *exact = malloc(file_size ? file_size : 1);
	int err;

	memcpy(exact, file, file_size);
	image.kernel = exact;
	image.kernel_size = file_size;
	err = vm_image_load(vm, &image, &entry, why, sizeof(why));
	free(exact);
	return err;
}

static uint64_t peek(uint64_t gpa, size_t size)
{
	uint64_t v = 0;

	assert_int_equal(gmem_read(&vm->mem, GPA(gpa), &v, size), 0);
	return v;
}

static void check_text(uint64_t gpa, const char *want)
{
	char got[64] = "";

	assert_int_equal(gmem_read(&vm->mem, GPA(gpa), got, strlen(want) + 1), 0);
	assert_string_equal(got, want);
}

static void check_initrd(uint64_t gpa)
{
	static uint8_t got[sizeof(initrd)];

	assert_int_equal(gpa % PAGE_SIZE, 0);
	assert_int_equal(gmem_read(&vm->mem, GPA(gpa), got, sizeof(got)), 0);
	assert_memory_equal(got, initrd, sizeof(got));
}

/* --- Linux bzImage; offsets are those of boot.rst --- */

#define SETUP_SECTS 0x1f1
#define PAYLOAD     (3 * 512)

static void bzimage(void)
{
	file_size = PAYLOAD + 0x3000;
	file[SETUP_SECTS] = 2;
	p32(0x1f4, 0x3000 / 16);
	p16(0x1fe, 0xaa55);
	memcpy(file + 0x202, "HdrS", 4);
	p16(0x206, 0x20f);
	file[0x211] = 1;        /* loaded high */
	p32(0x22c, 0x7fffffff); /* initrd_addr_max */
	p32(0x230, 0x200000);   /* kernel_alignment */
	file[0x234] = 1;        /* relocatable */
	p16(0x236, 1);          /* 64-bit entry */
	p32(0x238, 2047);       /* cmdline_size */
	p64(0x258, 0x1000000);  /* pref_address */
	p32(0x260, 0x100000);   /* init_size */
	for (size_t i = PAYLOAD; i < file_size; i++)
		file[i] = (uint8_t)(i >> 4);
}

static void linux_kernel_loads(void **state)
{
	(void)state;
	bzimage();
	image.initrd = initrd;
	image.initrd_size = sizeof(initrd);
	assert_int_equal(load(), 0);
	assert_int_equal(entry.mode, VM_ENTRY_LONG64);
	assert_int_equal(entry.rip, 0x1000200);
	assert_int_equal(entry.gpr[GPR_RSI], PARAMS);
	assert_int_equal(peek(0x1000000, 8), *(uint64_t *)(void *)(file + PAYLOAD));
	assert_int_equal(peek(0x1002ff8, 8), *(uint64_t *)(void *)(file + file_size - 8));
	/* the zero page */
	assert_int_equal(peek(PARAMS + 0x202, 4), 0x53726448);
	assert_int_equal(peek(PARAMS + 0x210, 1), 0xff);
	assert_int_equal(peek(PARAMS + 0x228, 4), CMDLINE);
	check_text(CMDLINE, "console=ttyS0");
	assert_int_equal(peek(PARAMS + 0x21c, 4), sizeof(initrd));
	check_initrd(peek(PARAMS + 0x218, 4));
	assert_true(peek(PARAMS + 0x218, 4) + sizeof(initrd) <= MEMORY);
	assert_int_equal(peek(PARAMS + 0x1e8, 1), 3);
	assert_int_equal(peek(PARAMS + 0x2d0 + 8, 8), 0x9fc00);
	assert_int_equal(peek(PARAMS + 0x2d0 + 20 + 16, 4), 2);
	assert_int_equal(peek(PARAMS + 0x2d0 + 40, 8), MIB(1));
	assert_int_equal(peek(PARAMS + 0x2d0 + 48, 8), MEMORY - MIB(1));
	/* the identity map: 4 GiB in 2 MiB pages */
	assert_int_equal(entry.cr3, TABLES);
	for (uint64_t va = 0; va < GIB(4); va += 511 * SIZE_2M) {
		uint64_t pdpt = peek(entry.cr3, 8) & ~0xfffull;
		uint64_t pd = peek(pdpt + (va >> 30) * 8, 8) & ~0xfffull;

		assert_int_equal(peek(pd + ((va >> 21) & 511) * 8, 8), va | 0x83);
	}
	/* 64-bit code and data in the GDT */
	assert_int_equal(entry.gdt_base, GDT);
	assert_int_equal(peek(GDT + entry.cs, 8) >> 53 & 1, 1);
	assert_int_equal(peek(GDT + entry.ds, 8) >> 40 & 0xff, 0x93);
	assert_true(entry.gdt_limit >= entry.ds + 7);
}

static void linux_kernel_moves_when_memory_is_small(void **state)
{
	(void)state;
	bzimage();
	p64(0x258, MIB(64));
	assert_int_equal(load(), 0);
	assert_int_equal(entry.rip, MIB(2) + 0x200);
	assert_int_equal(peek(PARAMS + 0x218, 8), 0); /* no initrd */
	bzimage();
	p64(0x258, 0x1000); /* below 1 MiB is not its place */
	p32(0x230, 0x1000);
	assert_int_equal(load(), 0);
	assert_int_equal(entry.rip, MIB(1) + 0x200);
}

static void setup_sectors_zero_means_four(void **state)
{
	(void)state;
	bzimage();
	file[SETUP_SECTS] = 0;
	p32(0x1f4, (uint32_t)(file_size - 5 * 512) / 16);
	assert_int_equal(load(), 0);
	assert_int_equal(peek(0x1000000, 1), file[5 * 512]);
}

struct damage {
	size_t at;
	uint32_t value;
	int err;
	const char *says;
};

static void damaged_linux_kernels(void **state)
{
	static const struct damage t[] = {
		{ 0x206, 0x20b, -RAY_ENOEXEC, "without a 64-bit entry (protocol 2.11)" },
		{ 0x236, 0, -RAY_ENOEXEC, "without a 64-bit entry" },
		{ 0x210, 0, -RAY_ENOEXEC, "without a 64-bit entry" },
		{ 0x1f1, 255, -RAY_ENOEXEC, "bzImage is cut: setup ends at" },
		{ 0x1f4, 0x301, -RAY_ENOEXEC, "bzImage is cut: 12288 bytes of 12304" },
		{ 0x1f4, 0xffffffff, -RAY_ENOEXEC, "bzImage is cut" },
		{ 0x260, 0x2fff, -RAY_ENOEXEC, "wrong init_size 12287" },
		{ 0x260, 0xffffffff, -RAY_E2BIG, "give the VM more memory" },
		{ 0x202, 0, -RAY_ENOEXEC, "neither a Linux bzImage" },
		{ 0x1fc, 0, -RAY_ENOEXEC, "neither a Linux bzImage" },
		{ 0x238, 5, -RAY_E2BIG, "cmdline: 13 bytes, the kernel takes 5" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		memset(file, 0, sizeof(file));
		bzimage();
		p32(t[i].at, t[i].value);
		if (load() != t[i].err || !strstr(why, t[i].says))
			fail_msg("at 0x%zx: %s", t[i].at, why);
	}
	/* not relocatable, bad alignment: nowhere to go */
	bzimage();
	p64(0x258, MIB(64));
	p32(0x230, 0x3000);
	assert_int_equal(load(), -RAY_E2BIG);
	p32(0x230, 0x200000);
	file[0x234] = 0;
	assert_int_equal(load(), -RAY_E2BIG);
	/* cut at every length: an error, never a crash */
	bzimage();
	for (uint64_t full = file_size; file_size > 0; file_size -= MIN(file_size, 97ull)) {
		if (file_size < full)
			assert_int_equal(load(), -RAY_ENOEXEC);
	}
}

static void initrds_that_do_not_fit(void **state)
{
	(void)state;
	bzimage();
	image.initrd = initrd;
	image.initrd_size = MIB(64);
	assert_int_equal(load(), -RAY_E2BIG);
	assert_non_null(strstr(why, "initrd: 65536K do not fit"));
	image.initrd_size = MIB(16);
	assert_int_equal(load(), -RAY_E2BIG);
	image.initrd_size = sizeof(initrd);
	p32(0x22c, 0x1100000 + 4095); /* it would overlap the kernel */
	assert_int_equal(load(), -RAY_E2BIG);
}

/* --- ELF --- */

#define PHDRS 64u
#define NOTE  0x200u
#define CODE  0x1000u

/* A 64-bit executable with one segment of 0x2000 bytes (0x3000 in memory) at 2 MiB. */
static void elf64(unsigned int phnum)
{
	file_size = CODE + 0x2000;
	memcpy(file, "\177ELF\2\1\1", 7);
	p16(16, 2);
	p16(18, 62);
	p64(24, MIB(2) + 0x10);
	p64(32, PHDRS);
	p16(54, 56);
	p16(56, (uint16_t)phnum);
	p32(PHDRS, 1);
	p64(PHDRS + 8, CODE);
	p64(PHDRS + 24, MIB(2));
	p64(PHDRS + 32, 0x2000);
	p64(PHDRS + 40, 0x3000);
	memset(file + CODE, 0xc5, 0x2000);
}

static void pvh(uint32_t where)
{
	size_t ph = PHDRS + 56;

	elf64(2);
	p32(ph, 4);
	p64(ph + 8, NOTE);
	p64(ph + 32, 20 + 20);
	/* a foreign note first, then Xen's */
	p32(NOTE, 4);
	p32(NOTE + 4, 4);
	p32(NOTE + 8, 1);
	memcpy(file + NOTE + 12, "GNU", 4);
	p32(NOTE + 20, 4);
	p32(NOTE + 24, 4);
	p32(NOTE + 28, 18);
	memcpy(file + NOTE + 32, "Xen", 4);
	p32(NOTE + 36, where);
}

static void pvh_loads(void **state)
{
	(void)state;
	pvh(0x200040);
	image.initrd = initrd;
	image.initrd_size = sizeof(initrd);
	assert_int_equal(load(), 0);
	assert_int_equal(entry.mode, VM_ENTRY_PROT32);
	assert_int_equal(entry.rip, 0x200040);
	assert_int_equal(entry.gpr[GPR_RBX], INFO);
	assert_int_equal(peek(MIB(2), 1), 0xc5);
	assert_int_equal(peek(MIB(2) + 0x1fff, 1), 0xc5);
	assert_int_equal(peek(MIB(2) + 0x2000, 8), 0);
	assert_int_equal(peek(INFO, 4), 0x336ec578);
	assert_int_equal(peek(INFO + 12, 4), 1);
	check_initrd(peek(peek(INFO + 16, 8), 8));
	assert_int_equal(peek(peek(INFO + 16, 8) + 8, 8), sizeof(initrd));
	check_text(peek(INFO + 24, 8), "console=ttyS0");
	assert_int_equal(peek(INFO + 48, 4), 3);
	assert_int_equal(peek(peek(INFO + 40, 8) + 2 * 24, 8), MIB(1));
	assert_int_equal(peek(GDT + entry.cs, 8) >> 53 & 1, 0); /* 32-bit code */
	assert_int_equal(peek(GDT + entry.cs, 8) >> 54 & 1, 1);
	image.initrd = NULL;
	assert_int_equal(load(), 0);
	assert_int_equal(peek(INFO + 12, 4), 0);
}

static void multiboot_loads(void **state)
{
	(void)state;
	/* 32-bit class, header in the code */
	file_size = CODE + 0x2000;
	memcpy(file, "\177ELF\1\1\1", 7);
	p16(16, 2);
	p16(18, 3);
	p32(24, MIB(2) + 0x20);
	p32(28, 52);
	p16(42, 32);
	p16(44, 1);
	p32(52, 1);
	p32(52 + 4, CODE);
	p32(52 + 12, MIB(2));
	p32(52 + 16, 0x2000);
	p32(52 + 20, 0x2000);
	p32(CODE + 4, 0x1badb002);
	p32(CODE + 8, 3);
	p32(CODE + 12, 0u - 0x1badb002 - 3);
	image.initrd = initrd;
	image.initrd_size = sizeof(initrd);
	assert_int_equal(load(), 0);
	assert_int_equal(entry.mode, VM_ENTRY_PROT32);
	assert_int_equal(entry.rip, MIB(2) + 0x20);
	assert_int_equal(entry.gpr[GPR_RAX], 0x2badb002);
	assert_int_equal(entry.gpr[GPR_RBX], INFO);
	assert_int_equal(peek(INFO, 4) & 0x4d, 0x4d);
	assert_int_equal(peek(INFO + 4, 4), 0x9fc00 / 1024);
	assert_int_equal(peek(INFO + 8, 4), (MEMORY - MIB(1)) / 1024);
	check_text(peek(INFO + 16, 4), "console=ttyS0");
	assert_int_equal(peek(INFO + 20, 4), 1);
	check_initrd(peek(peek(INFO + 24, 4), 4));
	assert_int_equal(peek(peek(INFO + 24, 4) + 4, 4) - peek(peek(INFO + 24, 4), 4),
	                 sizeof(initrd));
	assert_int_equal(peek(INFO + 44, 4), 3 * 24);
	assert_int_equal(peek(peek(INFO + 48, 4), 4), 20);
	assert_int_equal(peek(peek(INFO + 48, 4) + 2 * 24 + 4, 8), MIB(1));
	check_text(peek(INFO + 64, 4), "RayOS");
	/* wants what we do not have */
	p32(CODE + 8, 0x8);
	p32(CODE + 12, 0u - 0x1badb002 - 0x8);
	assert_int_equal(load(), -RAY_ENOEXEC);
	assert_non_null(strstr(why, "unknown 0x8"));
	p32(CODE + 12, 1); /* checksum: no header at all */
	assert_int_equal(load(), -RAY_ENOEXEC);
	assert_non_null(strstr(why, "neither a PVH note nor a Multiboot header"));
}

static void damaged_elf_files(void **state)
{
	static const struct damage t[] = {
		{ 4, 0x00010103, -RAY_ENOEXEC, "neither a 32-bit nor a 64-bit" },
		{ 4, 0x00010202, -RAY_ENOEXEC, "neither a 32-bit nor a 64-bit" },
		{ 16, 0x003e0001, -RAY_ENOEXEC, "not an x86 executable" },
		{ 16, 0x00b70002, -RAY_ENOEXEC, "not an x86 executable" },
		{ 54, 0x00010020, -RAY_ENOEXEC, "program headers" },
		{ 54, 0x00000038, -RAY_ENOEXEC, "program headers" },
		{ 54, 0xffff0038, -RAY_ENOEXEC, "program headers" },
		{ 32, 0xfffffff0, -RAY_ENOEXEC, "program headers" },
		{ 36, 0xffffffff, -RAY_ENOEXEC, "program headers" },
		{ PHDRS + 8, 0x1001, -RAY_ENOEXEC, "outside the file" },
		{ PHDRS + 12, 0xffffffff, -RAY_ENOEXEC, "outside the file" },
		{ PHDRS + 40, 0x1fff, -RAY_ENOEXEC, "larger in the file than in memory" },
		{ PHDRS + 44, 0xffffffff, -RAY_E2BIG, "not in RAM above 1M" },
		{ PHDRS + 28, 0xffffffff, -RAY_E2BIG, "not in RAM above 1M" },
		{ PHDRS + 24, 0x8000, -RAY_E2BIG, "not in RAM above 1M" },
		{ PHDRS, 2, -RAY_ENOEXEC, "nothing to load" },
		{ PHDRS + 56 + 8, 0x7fffffff, -RAY_ENOEXEC, "notes lie outside" },
		{ PHDRS + 56 + 32, 0x1c, -RAY_ENOEXEC, "neither a PVH note nor" },
		{ NOTE + 20, 3, -RAY_ENOEXEC, "neither a PVH note nor" },
		{ NOTE + 24, 0xffffffff, -RAY_ENOEXEC, "neither a PVH note nor" },
		{ NOTE, 0xffffffff, -RAY_ENOEXEC, "neither a PVH note nor" },
		{ NOTE + 24, 2, -RAY_ENOEXEC, "neither a PVH note nor" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		memset(file, 0, sizeof(file));
		pvh(0x200040);
		p32(t[i].at, t[i].value);
		if (load() != t[i].err || !strstr(why, t[i].says))
			fail_msg("at 0x%zx = 0x%x: %s", t[i].at, t[i].value, why);
	}
	pvh(0x200040);
	for (file_size--; file_size > 0; file_size -= MIN(file_size, 61ull))
		assert_int_equal(load(), -RAY_ENOEXEC);
	assert_int_equal(load(), -RAY_ENOEXEC); /* empty */
}

static void elf_segments(void **state)
{
	struct elf_image im;
	const char *reason;

	(void)state;
	elf64(2);
	memcpy(file + PHDRS + 56, file + PHDRS, 56);
	p64(PHDRS + 56 + 24, MIB(2) + 0x2fff);
	assert_int_equal(elf_parse(file, file_size, &im, &reason), -RAY_ENOEXEC);
	assert_string_equal(reason, "ELF: segments overlap in memory");
	p64(PHDRS + 56 + 24, MIB(2) + 0x3000);
	assert_int_equal(elf_parse(file, file_size, &im, &reason), 0);
	assert_int_equal(im.count, 2);
	assert_int_equal(im.entry, MIB(2) + 0x10);
	p64(PHDRS + 56 + 24, ~0xffull); /* wraps */
	assert_int_equal(elf_parse(file, file_size, &im, &reason), -RAY_ENOEXEC);
	elf64(34);
	for (unsigned int i = 0; i < 34; i++) {
		memcpy(file + PHDRS + i * 56, file + PHDRS, 56);
		p64(PHDRS + i * 56 + 24, MIB(2 + i));
	}
	assert_int_equal(elf_parse(file, file_size, &im, &reason), -RAY_ENOEXEC);
	assert_string_equal(reason, "ELF: too many segments");
	p64(PHDRS + 33 * 56 + 32, 0); /* empty ones do not count */
	p64(PHDRS + 33 * 56 + 40, 0);
	p64(PHDRS + 32 * 56 + 32, 0);
	p64(PHDRS + 32 * 56 + 40, 0);
	assert_int_equal(elf_parse(file, file_size, &im, &reason), 0);
	assert_int_equal(im.count, ELF_SEGMENT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(linux_kernel_loads),
		T(linux_kernel_moves_when_memory_is_small),
		T(setup_sectors_zero_means_four),
		T(damaged_linux_kernels),
		T(initrds_that_do_not_fit),
		T(pvh_loads),
		T(multiboot_loads),
		T(damaged_elf_files),
		T(elf_segments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
