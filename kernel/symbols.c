/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/symbols.h"

#include <string.h>

#include "kernel/arch/image.h"
#include "kernel/elf.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

/* What a lookup needs of one function: 8 bytes and its name. */
struct ksym {
	uint32_t offset; /* from KERNEL_LINK_BASE */
	uint32_t name;	 /* index into names */
};

static struct {
	const struct elf64_sym *syms; /* until symbols_keep() */
	size_t sym_count;
	const char *strings;
	size_t string_size; /* the last byte is NUL */
	struct ksym *kept;
	size_t kept_count;
	char *names;
	uint64_t slide, text_size;
} table;

static bool range_ok(uint64_t off, uint64_t len, size_t size)
{
	return off <= size && len <= size - off;
}

static int find_symtab(const uint8_t *elf, size_t size)
{
	const struct elf64_ehdr *eh = (const void *)elf;
	const struct elf64_shdr *sh, *sym, *str;

	if (size < sizeof(*eh) || memcmp(eh->ident, ELF_MAGIC, 4) != 0 ||
	    eh->ident[EI_CLASS] != ELFCLASS64 || eh->shentsize != sizeof(*sh) ||
	    !IS_ALIGNED(eh->shoff, 8) ||
	    !range_ok(eh->shoff, (uint64_t)eh->shnum * sizeof(*sh), size))
		return -RAY_ENOEXEC;
	sh = (const void *)(elf + eh->shoff);
	for (unsigned int i = 0; i < eh->shnum; i++) {
		sym = &sh[i];
		if (sym->type != SHT_SYMTAB)
			continue;
		if (sym->entsize != sizeof(struct elf64_sym) || !IS_ALIGNED(sym->offset, 8) ||
		    !range_ok(sym->offset, sym->size, size) || sym->link >= eh->shnum)
			return -RAY_ENOEXEC;
		str = &sh[sym->link];
		if (str->size == 0 || !range_ok(str->offset, str->size, size) ||
		    elf[str->offset + str->size - 1] != '\0')
			return -RAY_ENOEXEC;
		table.syms = (const void *)(elf + sym->offset);
		table.strings = (const char *)(elf + str->offset);
		table.string_size = str->size;
		table.sym_count = sym->size / sizeof(struct elf64_sym);
		return 0;
	}
	return -RAY_ENOEXEC;
}

int symbols_init(const void *elf, size_t size, uint64_t slide, uint64_t text_size)
{
	memset(&table, 0, sizeof(table));
	table.slide = slide;
	table.text_size = text_size;
	if (!IS_ALIGNED((uintptr_t)elf, 8))
		return -RAY_ENOEXEC;
	return find_symtab(elf, size);
}

static bool is_function(const struct elf64_sym *s)
{
	unsigned int type = s->info & 0xf;

	/* Assembly labels have no type. The address range keeps absolute symbols out. */
	return (type == STT_FUNC || (type == STT_NOTYPE && s->shndx != 0)) &&
	       s->value >= KERNEL_LINK_BASE && s->value - KERNEL_LINK_BASE <= UINT32_MAX &&
	       s->name != 0 && s->name < table.string_size;
}

int symbols_keep(void)
{
	size_t count = 0, bytes = 0, used = 0, i, n = 0;
	struct ksym *kept;
	char *names;

	for (i = 0; i < table.sym_count; i++) {
		if (!is_function(&table.syms[i]))
			continue;
		count++;
		bytes += strlen(table.strings + table.syms[i].name) + 1;
	}
	if (count == 0)
		return 0;
	kept = kcalloc(count, sizeof(*kept), MEM_KERNEL);
	names = kmalloc(bytes, MEM_KERNEL);
	if (!kept || !names) {
		kfree(kept);
		kfree(names);
		table.sym_count = 0;
		return -RAY_ENOMEM;
	}
	for (i = 0; i < table.sym_count; i++) {
		const struct elf64_sym *s = &table.syms[i];
		size_t len;

		if (!is_function(s))
			continue;
		len = strlen(table.strings + s->name) + 1;
		memcpy(names + used, table.strings + s->name, len);
		kept[n].offset = (uint32_t)(s->value - KERNEL_LINK_BASE);
		kept[n++].name = (uint32_t)used;
		used += len;
	}
	table.names = names;
	table.kept = kept;
	table.kept_count = n;
	table.sym_count = 0;
	return 0;
}

const char *symbols_find(uint64_t addr, uint64_t *offset)
{
	const char *best = NULL;
	uint64_t best_value = 0;
	uint64_t link = addr - table.slide;

	if (link < KERNEL_LINK_BASE || link - KERNEL_LINK_BASE >= table.text_size)
		return NULL;
	for (size_t i = 0; i < table.kept_count; i++) {
		uint64_t v = KERNEL_LINK_BASE + table.kept[i].offset;

		if (v <= link && v >= best_value) {
			best = table.names + table.kept[i].name;
			best_value = v;
		}
	}
	for (size_t i = 0; i < table.sym_count; i++) {
		const struct elf64_sym *s = &table.syms[i];

		if (is_function(s) && s->value <= link && s->value >= best_value) {
			best = table.strings + s->name;
			best_value = s->value;
		}
	}
	if (best)
		*offset = link - best_value;
	return best;
}
