/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF structures as the System V ABI (gABI ch. 4 and 5) lays them out. Declarations only.
 */
#ifndef RAYOS_KERNEL_ELF_H
#define RAYOS_KERNEL_ELF_H

#include "kernel/lib/types.h"

#define ELF_MAGIC  "\177ELF"
#define EI_CLASS   4
#define EI_DATA    5
#define ELFCLASS32 1
#define ELFCLASS64 2
#define ELFDATA2LSB 1

struct elf64_ehdr {
	uint8_t ident[16];
	uint16_t type;
	uint16_t machine;
	uint32_t version;
	uint64_t entry;
	uint64_t phoff;
	uint64_t shoff;
	uint32_t flags;
	uint16_t ehsize;
	uint16_t phentsize;
	uint16_t phnum;
	uint16_t shentsize;
	uint16_t shnum;
	uint16_t shstrndx;
};

struct elf32_ehdr {
	uint8_t ident[16];
	uint16_t type;
	uint16_t machine;
	uint32_t version;
	uint32_t entry;
	uint32_t phoff;
	uint32_t shoff;
	uint32_t flags;
	uint16_t ehsize;
	uint16_t phentsize;
	uint16_t phnum;
	uint16_t shentsize;
	uint16_t shnum;
	uint16_t shstrndx;
};

struct elf32_phdr {
	uint32_t type;
	uint32_t offset;
	uint32_t vaddr;
	uint32_t paddr;
	uint32_t filesz;
	uint32_t memsz;
	uint32_t flags;
	uint32_t align;
};

struct elf64_phdr {
	uint32_t type;
	uint32_t flags;
	uint64_t offset;
	uint64_t vaddr;
	uint64_t paddr;
	uint64_t filesz;
	uint64_t memsz;
	uint64_t align;
};

#define SHT_SYMTAB 2u

struct elf64_shdr {
	uint32_t name;
	uint32_t type;
	uint64_t flags;
	uint64_t addr;
	uint64_t offset;
	uint64_t size;
	uint32_t link;
	uint32_t info;
	uint64_t addralign;
	uint64_t entsize;
};

#define STT_NOTYPE 0u
#define STT_FUNC   2u

struct elf64_sym {
	uint32_t name;
	uint8_t info;
	uint8_t other;
	uint16_t shndx;
	uint64_t value;
	uint64_t size;
};

BUILD_ASSERT(sizeof(struct elf64_ehdr) == 64, "ELF header layout");
BUILD_ASSERT(sizeof(struct elf64_shdr) == 64, "ELF section header layout");
BUILD_ASSERT(sizeof(struct elf64_sym) == 24, "ELF symbol layout");

#endif
