/* UNIT: boot/kelf.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * boot/kelf.c over a small, valid kernel image that each test damages in one place. The file
 * is handed over in a heap block of exactly its size, so that the sanitizer sees any byte
 * read beyond it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <elf.h>

#include "boot/kelf.h"
#include "kernel/lib/err.h"

#define BASE  0xffffffff80000000ull
#define TEXT  0u
#define RO    1u
#define DATA  2u
#define DYN   3u
#define PHDRS 4u

/* Text and read-only data of a page each; data of 256 bytes in the file, 3 pages in memory. */
struct file {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[PHDRS];
	uint8_t pad[4096 - sizeof(Elf64_Ehdr) - PHDRS * sizeof(Elf64_Phdr)];
	uint8_t text[4096];
	struct {
		Elf64_Dyn dyn[8];
		Elf64_Rela rela[3];
		uint64_t pointer;
		uint8_t rest[4096 - 8 * sizeof(Elf64_Dyn) - 3 * sizeof(Elf64_Rela) - 8];
	} ro;
	uint64_t data[32];
};
_Static_assert(offsetof(struct file, text) == 4096, "layout");
_Static_assert(offsetof(struct file, data) == 3 * 4096, "layout");

#define RO_V   (BASE + 0x1000)
#define DATA_V (BASE + 0x2000)
#define RELA_V (RO_V + 8 * sizeof(Elf64_Dyn))

static struct file f;

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	f.eh = (Elf64_Ehdr){
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_DYN, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
		.e_entry = BASE + 0x10, .e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = PHDRS,
	};
	f.ph[TEXT] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 4096, BASE, 0, 4096, 4096, 4096};
	f.ph[RO] = (Elf64_Phdr){PT_LOAD, PF_R, 2 * 4096, RO_V, 0, 4096, 4096, 4096};
	f.ph[DATA] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W, 3 * 4096, DATA_V, 0, 256, 3 * 4096, 4096};
	f.ph[DYN] = (Elf64_Phdr){PT_DYNAMIC, PF_R, 2 * 4096, RO_V, 0, sizeof(f.ro.dyn),
				 sizeof(f.ro.dyn), 8};
	f.ro.dyn[0] = (Elf64_Dyn){DT_RELA, {RELA_V}};
	f.ro.dyn[1] = (Elf64_Dyn){DT_RELASZ, {sizeof(f.ro.rela)}};
	f.ro.dyn[2] = (Elf64_Dyn){DT_RELAENT, {sizeof(Elf64_Rela)}};
	f.ro.dyn[3] = (Elf64_Dyn){DT_PLTRELSZ, {0}};
	f.ro.rela[0] = (Elf64_Rela){RO_V + offsetof(struct file, ro.pointer) -
					    offsetof(struct file, ro),
				    R_X86_64_RELATIVE, (int64_t)(BASE + 0x10)};
	f.ro.rela[1] = (Elf64_Rela){DATA_V + 8, R_X86_64_RELATIVE, (int64_t)(DATA_V + 0x2ff8)};
	f.ro.rela[2] = (Elf64_Rela){0, R_X86_64_NONE, 0};
	memset(f.text, 0x90, sizeof(f.text));
	f.data[0] = 0x1122334455667788ull;
	return 0;
}

static int parse(size_t size, struct kelf *k, struct kelf_error *e)
{
	void *copy = malloc(size ? size : 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, &f, size);
	err = kelf_parse(copy, size, k, e);
	free(copy);
	return err;
}

#define refused(want) refused_at((want), __LINE__)
static void refused_at(const char *want, int line)
{
	struct kelf k;
	struct kelf_error e = {0};
	int err = parse(sizeof(f), &k, &e);

	if (err != -RAY_ENOEXEC || e.what == NULL || strstr(e.what, want) == NULL)
		fail_msg("line %d: %d, \"%s\" instead of \"%s\"", line, err,
			 e.what ? e.what : "(none)", want);
	setup(NULL);
}

static void test_good_image(void **state)
{
	struct kelf k;
	struct kelf_error e;
	uint64_t *image;

	(void)state;
	assert_int_equal(parse(sizeof(f), &k, &e), 0);
	assert_int_equal(k.base, BASE);
	assert_int_equal(k.size, 5 * 4096);
	assert_int_equal(k.entry, BASE + 0x10);
	assert_int_equal(k.seg_count, 3);
	assert_int_equal(k.seg[TEXT].flags, KELF_R | KELF_X);
	assert_int_equal(k.seg[DATA].flags, KELF_R | KELF_W);
	assert_int_equal(k.rela_count, 3);

	image = malloc(k.size);
	assert_non_null(image);
	memset(image, 0xaa, k.size);
	kelf_load(&k, &f, image, 0x200000);
	assert_int_equal(image[0], 0x9090909090909090ull);
	assert_int_equal(image[(4096 + offsetof(struct file, ro.pointer) -
				offsetof(struct file, ro)) / 8], BASE + 0x200010);
	assert_int_equal(image[2 * 512], 0x1122334455667788ull);
	assert_int_equal(image[2 * 512 + 1], DATA_V + 0x2ff8 + 0x200000);
	for (size_t i = 2 * 512 + 32; i < 5 * 512; i++)
		assert_int_equal(image[i], 0);
	free(image);
}

static void test_every_truncation_is_refused(void **state)
{
	struct kelf k;
	struct kelf_error e;

	(void)state;
	for (size_t n = 0; n < sizeof(f); n += n < 400 ? 1 : 61)
		assert_int_equal(parse(n, &k, &e), -RAY_ENOEXEC);
	assert_int_equal(parse(sizeof(f) - 1, &k, &e), -RAY_ENOEXEC);
}

static void test_header(void **state)
{
	(void)state;
	f.eh.e_ident[0] = 'M';
	refused("no ELF magic");
	f.eh.e_ident[4] = ELFCLASS32;
	refused("class");
	f.eh.e_ident[5] = ELFDATA2MSB;
	refused("little-endian");
	f.eh.e_ident[6] = 9;
	refused("version");
	f.eh.e_version = 2;
	refused("version");
	f.eh.e_type = ET_EXEC;
	refused("ET_DYN");
	f.eh.e_machine = EM_AARCH64;
	refused("x86-64");
	f.eh.e_ehsize = 63;
	refused("ELF header size");
	f.eh.e_phentsize = 32;
	refused("program header size");
	f.eh.e_phnum = 0;
	refused("number of program headers");
	f.eh.e_phnum = 0xffff;
	refused("number of program headers");
	f.eh.e_phoff = sizeof(f) - 8;
	refused("headers outside the file");
	f.eh.e_phoff = UINT64_MAX - 8;
	refused("headers outside the file");
	f.eh.e_entry = DATA_V;
	refused("entry point");
	f.eh.e_entry = BASE + 0x9000;
	refused("entry point");
	f.eh.e_entry = 0;
	refused("entry point");
}

static void test_segments(void **state)
{
	(void)state;
	f.ph[DATA].p_offset = sizeof(f) - 255;
	refused("segment outside the file");
	f.ph[DATA].p_offset = UINT64_MAX - 100;
	refused("segment outside the file");
	f.ph[TEXT].p_filesz = UINT64_MAX;
	f.ph[TEXT].p_memsz = UINT64_MAX;
	refused("segment outside the file");
	f.ph[DATA].p_filesz = 4 * 4096;
	refused("larger in the file");
	f.ph[DATA].p_memsz = UINT64_MAX - 8;
	refused("wraps");
	f.ph[DATA].p_vaddr = UINT64_MAX - 4095;
	f.ph[DATA].p_memsz = 4096;
	refused("wraps");
	f.ph[TEXT].p_vaddr = UINT64_MAX - SIZE_2M + 1; /* ends in the last page of all */
	f.ph[RO].p_type = PT_NULL;
	f.ph[DATA].p_vaddr = f.ph[TEXT].p_vaddr + 4096;
	f.ph[DATA].p_memsz = SIZE_2M - 4096 - 1;
	refused("wraps");
	f.ph[DATA].p_memsz = MIB(64);
	refused("64 MiB");
	f.ph[DATA].p_flags = PF_R | PF_W | PF_X;
	refused("both writable and executable");
	f.ph[DATA].p_flags = PF_W;
	refused("flags");
	f.ph[DATA].p_flags = PF_R | 0x100;
	refused("flags");
	f.ph[DATA].p_vaddr = RO_V;
	refused("shares a page");
	f.ph[DATA].p_vaddr = RO_V + 0xfff;
	refused("shares a page");
	f.ph[RO].p_vaddr = BASE - 0x1000;
	refused("out of order");
	f.ph[TEXT].p_vaddr = BASE + 0x1000;
	refused("2 MiB aligned");
	f.ph[TEXT].p_vaddr = 0x200000;
	refused("top 2 GiB");
	f.ph[DYN].p_type = PT_INTERP;
	refused("interpreter");
	f.ph[DYN].p_type = PT_TLS;
	refused("thread storage");
	for (unsigned int i = 0; i < PHDRS; i++)
		f.ph[i].p_type = PT_NULL;
	refused("no loadable segment");
}

static void test_empty_segments_are_skipped(void **state)
{
	struct kelf k;
	struct kelf_error e;

	(void)state;
	f.eh.e_entry = BASE + 4095;
	f.ph[DATA] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W, 0x190, 0, 0, 0, 0, 4096};
	f.ro.rela[1].r_info = R_X86_64_NONE;
	assert_int_equal(parse(sizeof(f), &k, &e), 0);
	assert_int_equal(k.seg_count, 2);
	assert_int_equal(k.size, 2 * 4096);
}

static void test_too_many_segments(void **state)
{
	struct {
		Elf64_Ehdr eh;
		Elf64_Phdr ph[KELF_SEG_MAX + 1];
	} many = {.eh = f.eh};
	struct kelf k;
	struct kelf_error e;

	(void)state;
	many.eh.e_phnum = KELF_SEG_MAX + 1;
	for (unsigned int i = 0; i <= KELF_SEG_MAX; i++)
		many.ph[i] = (Elf64_Phdr){PT_LOAD, PF_R, 0, BASE + i * 4096ull, 0, 0, 4096, 4096};
	assert_int_equal(kelf_parse(&many, sizeof(many), &k, &e), -RAY_ENOEXEC);
	assert_string_equal(e.what, "too many segments");
	assert_int_equal(e.index, KELF_SEG_MAX);
}

static void test_dynamic(void **state)
{
	(void)state;
	f.ph[DYN].p_type = PT_NULL;
	refused("no dynamic segment");
	f.ph[DYN].p_memsz = 0;
	refused("empty dynamic");
	f.ph[DYN].p_vaddr = DATA_V + 200;
	refused("dynamic segment outside");
	f.ph[DYN].p_vaddr = UINT64_MAX - 8;
	refused("dynamic segment outside");
	f.ph[DYN].p_memsz = UINT64_MAX;
	refused("dynamic segment outside");
	f.ph[DATA] = f.ph[DYN];
	refused("second dynamic");
	f.ro.dyn[0].d_un.d_val = DATA_V + 4096;
	refused("relocation table outside");
	f.ro.dyn[1].d_un.d_val = UINT64_MAX - 15;
	refused("relocation table outside");
	f.ro.dyn[1].d_un.d_val = 25;
	refused("whole number");
	f.ro.dyn[2].d_un.d_val = 0;
	refused("entry size");
	f.ro.dyn[3].d_un.d_val = 24;
	refused("PLT");
	f.ro.dyn[3].d_tag = DT_NEEDED;
	refused("shared library");
	f.ro.dyn[3].d_tag = DT_REL;
	refused("unsupported kind");
	f.ro.dyn[3].d_tag = DT_TEXTREL;
	refused("unsupported kind");
	f.ro.dyn[3].d_tag = 36; /* DT_RELR */
	refused("unsupported kind");
}

static void test_dynamic_ends_at_null(void **state)
{
	struct kelf k;
	struct kelf_error e;

	(void)state;
	f.ro.dyn[5].d_tag = DT_NEEDED;
	assert_int_equal(parse(sizeof(f), &k, &e), 0);
	assert_int_equal(k.rela_count, 3);
}

static void test_relocations(void **state)
{
	(void)state;
	f.ro.rela[1].r_info = R_X86_64_64;
	refused("not R_X86_64_RELATIVE");
	f.ro.rela[1].r_info = (1ull << 32) | R_X86_64_RELATIVE;
	refused("not R_X86_64_RELATIVE");
	f.ro.rela[1].r_offset = BASE + 5 * 4096 - 7;
	refused("target outside");
	f.ro.rela[1].r_offset = BASE - 8;
	refused("target outside");
	f.ro.rela[1].r_offset = UINT64_MAX - 3;
	refused("target outside");
	f.ro.rela[1].r_offset = BASE + 8;
	refused("target in code");
	f.ro.rela[1].r_addend = (int64_t)(BASE - 1);
	refused("value outside");
	f.ro.rela[1].r_addend = (int64_t)(BASE + 5 * 4096 + 1);
	refused("value outside");
	f.ro.rela[1].r_addend = 0;
	refused("value outside");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_good_image, setup),
		cmocka_unit_test_setup(test_every_truncation_is_refused, setup),
		cmocka_unit_test_setup(test_header, setup),
		cmocka_unit_test_setup(test_segments, setup),
		cmocka_unit_test_setup(test_empty_segments_are_skipped, setup),
		cmocka_unit_test_setup(test_too_many_segments, setup),
		cmocka_unit_test_setup(test_dynamic, setup),
		cmocka_unit_test_setup(test_dynamic_ends_at_null, setup),
		cmocka_unit_test_setup(test_relocations, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
