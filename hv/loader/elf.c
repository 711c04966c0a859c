/* SPDX-License-Identifier: Apache-2.0 */
#include "hv/loader/elf.h"

#include <string.h>

#include "kernel/elf.h"
#include "kernel/lib/checked.h"
#include "kernel/lib/err.h"

#define ET_EXEC    2u
#define ET_DYN     3u
#define EM_386     3u
#define EM_X86_64  62u
#define PT_LOAD    1u
#define PT_NOTE    4u

/* The header's fields that matter, from either class. */
struct head {
	bool is64;
	uint64_t phoff;
	uint32_t phnum;
};

static int head_parse(const uint8_t *file, uint64_t size, struct elf_image *out, struct head *h,
		      const char **why)
{
	struct elf64_ehdr e64;
	struct elf32_ehdr e32;
	uint16_t type, machine, phentsize;

	if (size < sizeof(e32) || memcmp(file, ELF_MAGIC, 4) != 0)
		return -RAY_ENOSYS;
	*why = "ELF: neither a 32-bit nor a 64-bit little-endian file";
	if (file[EI_DATA] != ELFDATA2LSB || (file[EI_CLASS] != ELFCLASS32 && file[EI_CLASS] != ELFCLASS64))
		return -RAY_ENOEXEC;
	h->is64 = file[EI_CLASS] == ELFCLASS64;
	*why = "ELF: cut inside its header";
	if (h->is64) {
		if (size < sizeof(e64))
			return -RAY_ENOEXEC;
		memcpy(&e64, file, sizeof(e64));
		type = e64.type;
		machine = e64.machine;
		phentsize = e64.phentsize;
		h->phnum = e64.phnum;
		h->phoff = e64.phoff;
		out->entry = e64.entry;
	} else {
		memcpy(&e32, file, sizeof(e32));
		type = e32.type;
		machine = e32.machine;
		phentsize = e32.phentsize;
		h->phnum = e32.phnum;
		h->phoff = e32.phoff;
		out->entry = e32.entry;
	}
	*why = "ELF: not an x86 executable";
	if ((type != ET_EXEC && type != ET_DYN) || (machine != EM_386 && machine != EM_X86_64))
		return -RAY_ENOEXEC;
	*why = "ELF: program headers are missing or outside the file";
	if (phentsize != (h->is64 ? sizeof(struct elf64_phdr) : sizeof(struct elf32_phdr)) ||
	    h->phnum == 0 || !range_inside(h->phoff, (uint64_t)h->phnum * phentsize, 0, size))
		return -RAY_ENOEXEC;
	return 0;
}

static struct elf64_phdr phdr_read(const uint8_t *file, const struct head *h, uint32_t i)
{
	struct elf64_phdr p;
	struct elf32_phdr q;

	if (h->is64) {
		memcpy(&p, file + h->phoff + (uint64_t)i * sizeof(p), sizeof(p));
		return p;
	}
	memcpy(&q, file + h->phoff + (uint64_t)i * sizeof(q), sizeof(q));
	return (struct elf64_phdr){ .type = q.type, .flags = q.flags, .offset = q.offset,
				.vaddr = q.vaddr, .paddr = q.paddr, .filesz = q.filesz,
				.memsz = q.memsz, .align = q.align };
}

static bool overlaps(const struct elf_image *im, const struct elf_segment *s)
{
	for (unsigned int i = 0; i < im->count; i++) {
		if (range_overlaps(im->seg[i].paddr, im->seg[i].memsz, s->paddr, s->memsz))
			return true;
	}
	return false;
}

static int segment_add(struct elf_image *out, const struct elf64_phdr *p, uint64_t size, const char **why)
{
	struct elf_segment s = { p->offset, p->filesz, p->paddr, p->memsz };
	uint64_t end;

	if (s.memsz == 0 && s.filesz == 0)
		return 0;
	*why = "ELF: a segment lies outside the file";
	if (!range_inside(s.offset, s.filesz, 0, size))
		return -RAY_ENOEXEC;
	*why = "ELF: a segment is larger in the file than in memory, or wraps";
	if (s.memsz < s.filesz || checked_add(s.paddr, s.memsz, &end) != 0)
		return -RAY_ENOEXEC;
	*why = "ELF: segments overlap in memory";
	if (overlaps(out, &s))
		return -RAY_ENOEXEC;
	*why = "ELF: too many segments";
	if (out->count == ELF_SEGMENT_MAX)
		return -RAY_ENOEXEC;
	out->seg[out->count++] = s;
	return 0;
}

int elf_parse(const uint8_t *file, uint64_t size, struct elf_image *out, const char **why)
{
	struct head h;
	int err;

	memset(out, 0, sizeof(*out));
	err = head_parse(file, size, out, &h, why);
	for (uint32_t i = 0; err == 0 && i < h.phnum; i++) {
		struct elf64_phdr p = phdr_read(file, &h, i);

		if (p.type == PT_LOAD) {
			err = segment_add(out, &p, size, why);
		} else if (p.type == PT_NOTE && out->note_size == 0) {
			*why = "ELF: notes lie outside the file";
			if (!range_inside(p.offset, p.filesz, 0, size))
				return -RAY_ENOEXEC;
			out->note_offset = p.offset;
			out->note_size = p.filesz;
		}
	}
	if (err != 0)
		return err;
	*why = "ELF: nothing to load";
	return out->count > 0 ? 0 : -RAY_ENOEXEC;
}

uint32_t elf_note_find(const uint8_t *file, const struct elf_image *im, const char *owner,
		       uint32_t type, const uint8_t **desc)
{
	const uint8_t *p = file + im->note_offset;
	uint64_t left = im->note_size;

	while (left >= 12) {
		uint32_t head[3]; /* name size, descriptor size, type */

		memcpy(head, p, sizeof(head));
		uint64_t name = ALIGN_UP((uint64_t)head[0], 4);
		uint64_t body = ALIGN_UP((uint64_t)head[1], 4);
		if (12 + name + head[1] > left)
			return 0;
		if (head[2] == type && head[0] == strlen(owner) + 1 &&
		    memcmp(p + 12, owner, head[0]) == 0) {
			*desc = p + 12 + name;
			return head[1];
		}
		if (12 + name + body >= left)
			return 0;
		p += 12 + name + body;
		left -= 12 + name + body;
	}
	return 0;
}
