/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel ELF validation, see kelf.h. Headers and table entries are copied out before they
 * are looked at: the file may be unaligned.
 */
#include "boot/kelf.h"

#include <string.h>

#include "kernel/lib/err.h"

struct elf_ehdr {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
BUILD_ASSERT(sizeof(struct elf_ehdr) == 64, "Elf64_Ehdr");

struct elf_phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
BUILD_ASSERT(sizeof(struct elf_phdr) == 56, "Elf64_Phdr");

struct elf_dyn {
	uint64_t tag, val;
};

struct elf_rela {
	uint64_t offset, info, addend;
};
BUILD_ASSERT(sizeof(struct elf_rela) == 24, "Elf64_Rela");

#define ELFCLASS64  2
#define ELFDATA2LSB 1
#define EV_CURRENT  1
#define ET_DYN      3
#define EM_X86_64   62

#define PT_LOAD    1u
#define PT_DYNAMIC 2u
#define PT_INTERP  3u
#define PT_TLS     7u

#define DT_NULL     0u
#define DT_NEEDED   1u
#define DT_PLTRELSZ 2u
#define DT_RELA     7u
#define DT_RELASZ   8u
#define DT_RELAENT  9u
#define DT_REL      17u
#define DT_TEXTREL  22u
#define DT_RELR     36u

#define R_X86_64_NONE     0u
#define R_X86_64_RELATIVE 8u

struct reader {
	const uint8_t *file;
	uint64_t size;
	struct kelf *k;
	struct kelf_error *e;
};

static int refuse(const struct reader *r, const char *what, uint64_t value)
{
	*r->e = (struct kelf_error){.what = what, .value = value};
	return -RAY_ENOEXEC;
}

static int refuse_at(const struct reader *r, const char *what, const char *where, uint64_t index,
		     uint64_t value)
{
	*r->e = (struct kelf_error){what, where, index, value};
	return -RAY_ENOEXEC;
}

/* [off, off + len) within [0, size), without wrapping. */
static bool within(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

/* The segment whose memory (or file-backed part) holds [virt, virt + len). */
static const struct kelf_seg *seg_find(const struct kelf *k, uint64_t virt, uint64_t len,
				       bool file_backed)
{
	for (uint32_t i = 0; i < k->seg_count; i++) {
		const struct kelf_seg *s = &k->seg[i];
		uint64_t size = file_backed ? s->file_size : s->mem_size;

		if (virt >= s->virt && within(virt - s->virt, len, size))
			return s;
	}
	return NULL;
}

static int ehdr_check(const struct reader *r, struct elf_ehdr *h)
{
	if (r->size < sizeof(*h))
		return refuse(r, "file shorter than an ELF header", r->size);
	memcpy(h, r->file, sizeof(*h));
	if (memcmp(h->ident, "\177ELF", 4) != 0)
		return refuse(r, "no ELF magic", h->ident[0]);
	if (h->ident[4] != ELFCLASS64)
		return refuse(r, "ELF class is not 64-bit", h->ident[4]);
	if (h->ident[5] != ELFDATA2LSB)
		return refuse(r, "ELF data is not little-endian", h->ident[5]);
	if (h->ident[6] != EV_CURRENT || h->version != EV_CURRENT)
		return refuse(r, "unknown ELF version", h->version);
	if (h->type != ET_DYN)
		return refuse(r, "ELF type is not ET_DYN (position independent)", h->type);
	if (h->machine != EM_X86_64)
		return refuse(r, "ELF machine is not x86-64", h->machine);
	if (h->ehsize != sizeof(*h))
		return refuse(r, "wrong ELF header size", h->ehsize);
	if (h->phentsize != sizeof(struct elf_phdr))
		return refuse(r, "wrong program header size", h->phentsize);
	if (h->phnum == 0 || h->phnum > KELF_PHDR_MAX)
		return refuse(r, "number of program headers out of range", h->phnum);
	if (!within(h->phoff, (uint64_t)h->phnum * sizeof(struct elf_phdr), r->size))
		return refuse(r, "program headers outside the file", h->phoff);
	return 0;
}

static int load_check(const struct reader *r, uint64_t index, const struct elf_phdr *p)
{
	const char *const ph = "program header";
	struct kelf *k = r->k;
	uint64_t end;

	if (p->filesz > p->memsz)
		return refuse_at(r, "segment larger in the file than in memory", ph, index,
				 p->filesz);
	if (!within(p->offset, p->filesz, r->size))
		return refuse_at(r, "segment outside the file", ph, index, p->offset);
	if ((p->flags & ~(KELF_R | KELF_W | KELF_X)) != 0 || (p->flags & KELF_R) == 0)
		return refuse_at(r, "unknown segment flags", ph, index, p->flags);
	if ((p->flags & KELF_W) != 0 && (p->flags & KELF_X) != 0)
		return refuse_at(r, "segment both writable and executable", ph, index, p->flags);
	if (__builtin_add_overflow(p->vaddr, p->memsz, &end) || end > UINT64_MAX - PAGE_SIZE)
		return refuse_at(r, "segment address wraps", ph, index, p->vaddr);
	if (k->seg_count == 0) {
		k->base = ALIGN_DOWN(p->vaddr, PAGE_SIZE);
		if (!IS_ALIGNED(k->base, SIZE_2M) || k->base < -GIB(2))
			return refuse_at(r, "image does not start 2 MiB aligned in the top 2 GiB",
					 ph, index, p->vaddr);
	} else if (p->vaddr < k->base + k->size) {
		return refuse_at(r, "segment shares a page with the one before or is out of order",
				 ph, index, p->vaddr);
	}
	if (end - k->base > KELF_IMAGE_MAX)
		return refuse_at(r, "image larger than 64 MiB", ph, index, end - k->base);
	if (k->seg_count == KELF_SEG_MAX)
		return refuse_at(r, "too many segments", ph, index, KELF_SEG_MAX);
	k->seg[k->seg_count++] =
		(struct kelf_seg){p->vaddr, p->memsz, p->offset, p->filesz, p->flags};
	k->size = ALIGN_UP(end, PAGE_SIZE) - k->base;
	return 0;
}

/* Fills the segments; *dyn gets PT_DYNAMIC (memsz 0 when there is none). */
static int phdrs_check(const struct reader *r, const struct elf_ehdr *h, struct elf_phdr *dyn)
{
	const char *const ph = "program header";
	struct elf_phdr p;
	int err;

	*dyn = (struct elf_phdr){0};
	for (uint64_t i = 0; i < h->phnum; i++) {
		memcpy(&p, r->file + h->phoff + i * sizeof(p), sizeof(p));
		if (p.type == PT_INTERP || p.type == PT_TLS)
			return refuse_at(r, "kernel with an interpreter or thread storage", ph, i,
					 p.type);
		if (p.type == PT_DYNAMIC) {
			if (dyn->memsz != 0)
				return refuse_at(r, "second dynamic segment", ph, i, p.vaddr);
			if (p.memsz == 0)
				return refuse_at(r, "empty dynamic segment", ph, i, p.vaddr);
			*dyn = p;
		}
		if (p.type != PT_LOAD || p.memsz == 0)
			continue;
		err = load_check(r, i, &p);
		if (err)
			return err;
	}
	if (r->k->seg_count == 0)
		return refuse(r, "no loadable segment", 0);
	return 0;
}

struct dyn_info {
	uint64_t rela, size, entry_size;
};

static int dyn_entry(const struct reader *r, uint64_t i, const struct elf_dyn *d,
		     struct dyn_info *info)
{
	const char *const where = "dynamic entry";

	switch (d->tag) {
	case DT_RELA:
		info->rela = d->val;
		break;
	case DT_RELASZ:
		info->size = d->val;
		break;
	case DT_RELAENT:
		info->entry_size = d->val;
		break;
	case DT_NEEDED:
		return refuse_at(r, "kernel needs a shared library", where, i, d->val);
	case DT_PLTRELSZ:
		if (d->val != 0)
			return refuse_at(r, "kernel has PLT relocations", where, i, d->val);
		break;
	case DT_REL:
	case DT_RELR:
	case DT_TEXTREL:
		return refuse_at(r, "relocation table of an unsupported kind", where, i, d->tag);
	default:
		break;
	}
	return 0;
}

static int dynamic_check(const struct reader *r, const struct elf_phdr *p, struct dyn_info *info)
{
	const struct kelf_seg *s;
	struct elf_dyn d;
	int err;

	*info = (struct dyn_info){0};
	if (p->memsz == 0)
		return refuse(r, "no dynamic segment, so no relocations: linked without -pie?", 0);
	s = seg_find(r->k, p->vaddr, p->memsz, true);
	if (s == NULL)
		return refuse(r, "dynamic segment outside the image", p->vaddr);
	for (uint64_t i = 0; i < p->memsz / sizeof(d); i++) {
		memcpy(&d, r->file + s->file_off + (p->vaddr - s->virt) + i * sizeof(d), sizeof(d));
		if (d.tag == DT_NULL)
			break;
		err = dyn_entry(r, i, &d, info);
		if (err)
			return err;
	}
	return 0;
}

static struct elf_rela rela_read(const struct kelf *k, const uint8_t *file, uint64_t i)
{
	struct elf_rela rela;

	memcpy(&rela, file + k->rela_off + i * sizeof(rela), sizeof(rela));
	return rela;
}

static int relas_check(const struct reader *r)
{
	const char *const where = "relocation";
	const struct kelf *k = r->k;

	for (uint64_t i = 0; i < k->rela_count; i++) {
		struct elf_rela rela = rela_read(k, r->file, i);
		const struct kelf_seg *s;

		if (rela.info == R_X86_64_NONE)
			continue;
		/* The upper half is the symbol: a relative relocation has none. */
		if (rela.info != R_X86_64_RELATIVE)
			return refuse_at(r, "relocation is not R_X86_64_RELATIVE", where, i,
					 rela.info);
		s = seg_find(k, rela.offset, sizeof(uint64_t), false);
		if (s == NULL)
			return refuse_at(r, "relocation target outside the image", where, i,
					 rela.offset);
		if ((s->flags & KELF_X) != 0)
			return refuse_at(r, "relocation target in code", where, i, rela.offset);
		/* One past the end is the address of an end symbol. Below the base wraps. */
		if (rela.addend - k->base > k->size)
			return refuse_at(r, "relocation value outside the image", where, i,
					 rela.addend);
	}
	return 0;
}

static int rela_table_check(const struct reader *r, const struct dyn_info *info)
{
	const struct kelf_seg *s;

	if (info->size == 0)
		return 0;
	if (info->entry_size != sizeof(struct elf_rela))
		return refuse(r, "wrong relocation entry size", info->entry_size);
	if (info->size % sizeof(struct elf_rela) != 0)
		return refuse(r, "relocation table is not a whole number of entries", info->size);
	s = seg_find(r->k, info->rela, info->size, true);
	if (s == NULL)
		return refuse(r, "relocation table outside the image", info->rela);
	r->k->rela_off = s->file_off + (info->rela - s->virt);
	r->k->rela_count = info->size / sizeof(struct elf_rela);
	return relas_check(r);
}

int kelf_parse(const void *file, uint64_t size, struct kelf *k, struct kelf_error *e)
{
	const struct reader r = {file, size, k, e};
	const struct kelf_seg *s;
	struct elf_ehdr h;
	struct elf_phdr dyn;
	struct dyn_info info;
	int err;

	*k = (struct kelf){0};
	err = ehdr_check(&r, &h);
	if (err)
		return err;
	err = phdrs_check(&r, &h, &dyn);
	if (err)
		return err;
	s = seg_find(k, h.entry, 1, true);
	if (s == NULL || (s->flags & KELF_X) == 0)
		return refuse(&r, "entry point outside the code", h.entry);
	k->entry = h.entry;
	err = dynamic_check(&r, &dyn, &info);
	if (err)
		return err;
	return rela_table_check(&r, &info);
}

void kelf_load(const struct kelf *k, const void *file, void *image, uint64_t slide)
{
	const uint8_t *src = file;
	uint8_t *dst = image;

	memset(dst, 0, k->size);
	for (uint32_t i = 0; i < k->seg_count; i++) {
		const struct kelf_seg *s = &k->seg[i];

		memcpy(dst + (s->virt - k->base), src + s->file_off, s->file_size);
	}
	for (uint64_t i = 0; i < k->rela_count; i++) {
		struct elf_rela rela = rela_read(k, src, i);
		uint64_t value = rela.addend + slide;

		if (rela.info == R_X86_64_RELATIVE)
			memcpy(dst + (rela.offset - k->base), &value, sizeof(value));
	}
}
