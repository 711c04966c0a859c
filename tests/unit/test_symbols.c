/* UNIT: kernel/symbols.c */
// SPDX-License-Identifier: Apache-2.0
/* kernel/symbols.c over ELF files made here, whole and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/arch/image.h"
#include "kernel/elf.h"
#include "kernel/lib/err.h"
#include "kernel/symbols.h"
#include "tests/host/fake_heap.h"

#define SLIDE 0x1000000ull

struct file {
	struct elf64_ehdr eh;
	struct elf64_shdr sh[3];
	struct elf64_sym sym[6];
	char str[40];
};

static const char strings[] = "\0first\0second\0object\0far\0label";

static struct file *make(void)
{
	struct file *f = calloc(1, sizeof(*f));

	memcpy(f->eh.ident, ELF_MAGIC, 4);
	f->eh.ident[EI_CLASS] = ELFCLASS64;
	f->eh.shoff = offsetof(struct file, sh);
	f->eh.shentsize = sizeof(struct elf64_shdr);
	f->eh.shnum = 3;
	f->sh[1] = (struct elf64_shdr){ .type = SHT_SYMTAB,
					.offset = offsetof(struct file, sym),
					.size = sizeof(f->sym),
					.link = 2,
					.entsize = sizeof(struct elf64_sym) };
	f->sh[2] = (struct elf64_shdr){ .type = 3,
					.offset = offsetof(struct file, str),
					.size = sizeof(f->str) };
	f->sym[1] = (struct elf64_sym){ .name = 7, .info = STT_FUNC, .shndx = 1,
					.value = KERNEL_LINK_BASE + 0x2000 };
	f->sym[2] = (struct elf64_sym){ .name = 1, .info = STT_FUNC, .shndx = 1,
					.value = KERNEL_LINK_BASE + 0x1000 };
	f->sym[3] = (struct elf64_sym){ .name = 14, .info = 1 /* object */, .shndx = 1,
					.value = KERNEL_LINK_BASE + 0x2800 };
	f->sym[4] = (struct elf64_sym){ .name = 21, .info = STT_FUNC, .shndx = 1, .value = 5 };
	f->sym[5] = (struct elf64_sym){ .name = 25, .info = STT_NOTYPE, .shndx = 1,
					.value = KERNEL_LINK_BASE + 0x3000 };
	memcpy(f->str, strings, sizeof(strings));
	return f;
}

static const char *find(uint64_t link_offset, uint64_t *offset)
{
	*offset = 0;
	return symbols_find(KERNEL_LINK_BASE + SLIDE + link_offset, offset);
}

static void check_lookups(void)
{
	uint64_t off;

	assert_string_equal(find(0x1000, &off), "first");
	assert_int_equal(off, 0);
	assert_string_equal(find(0x1fff, &off), "first");
	assert_int_equal(off, 0xfff);
	assert_string_equal(find(0x2900, &off), "second"); /* data has no say */
	assert_string_equal(find(0x3004, &off), "label");
	assert_null(find(0xfff, &off));
	assert_null(find(0x4000, &off)); /* behind the code */
	assert_null(symbols_find(0, &off));
	assert_null(symbols_find(5 + SLIDE, &off));
}

static void test_lookup_in_place_and_kept(void **state)
{
	struct file *f = make();

	(void)state;
	assert_int_equal(symbols_init(f, sizeof(*f), SLIDE, 0x4000), 0);
	check_lookups();
	fake_heap_fail_at = 1;
	assert_int_equal(symbols_keep(), -RAY_ENOMEM);
	assert_int_equal(symbols_init(f, sizeof(*f), SLIDE, 0x4000), 0);
	fake_heap_fail_at = 2;
	assert_int_equal(symbols_keep(), -RAY_ENOMEM);
	assert_int_equal(fake_heap_live, 0);
	assert_int_equal(symbols_init(f, sizeof(*f), SLIDE, 0x4000), 0);
	fake_heap_fail_at = 0;
	assert_int_equal(symbols_keep(), 0);
	memset(f, 0xff, sizeof(*f));
	free(f);
	check_lookups();
}

#define BAD(change)                                                                        \
	do {                                                                                   \
		struct file *f = make();                                                       \
		change;                                                                        \
		assert_int_equal(symbols_init(f, sizeof(*f), SLIDE, 0x4000), -RAY_ENOEXEC);            \
		free(f);                                                                       \
	} while (0)

static void test_damaged_files(void **state)
{
	(void)state;
	BAD(f->eh.ident[0] = 0);
	BAD(f->eh.ident[EI_CLASS] = ELFCLASS32);
	BAD(f->eh.shentsize = 40);
	BAD(f->eh.shoff++);
	BAD(f->eh.shoff = UINT64_MAX - 7);
	BAD(f->eh.shnum = 60000);
	BAD(f->sh[1].type = 0);
	BAD(f->sh[1].entsize = 16);
	BAD(f->sh[1].offset = UINT64_MAX - 7);
	BAD(f->sh[1].size = sizeof(*f));
	BAD(f->sh[1].link = 3);
	BAD(f->sh[2].size = 0);
	BAD(f->sh[2].offset = UINT64_MAX);
	BAD(memset(f->str, 'x', sizeof(f->str)));
	assert_int_equal(symbols_init("", 0, 0, 0), -RAY_ENOEXEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damaged_files),
		cmocka_unit_test(test_lookup_in_place_and_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
