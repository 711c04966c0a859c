/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loaders share: where things go in low guest memory, and the steps every format
 * needs. Inside hv/loader/ only.
 */
#ifndef RAYOS_HV_LOADER_PRIV_H
#define RAYOS_HV_LOADER_PRIV_H

#include "hv/loader.h"
#include "hv/vm.h"

/* Guest physical addresses below 1 MiB that loaders use; nothing else writes there. */
#define LOAD_GDT         0x500u
#define LOAD_BOOT_PARAMS 0x7000u  /* one page */
#define LOAD_PAGE_TABLES 0x9000u  /* six pages: PML4, PDPT, four page directories */
#define LOAD_INFO        0x10000u /* PVH and Multiboot structures, 64 KiB */
#define LOAD_CMDLINE     0x20000u /* up to 64 KiB */
#define LOAD_CMDLINE_MAX 0x10000u

#define LOAD_CS 0x10u
#define LOAD_DS 0x18u

struct loader_ctx {
	struct vm *vm;
	const struct vm_image *image;
	struct vm_entry *entry;
	char *why;
	size_t why_len;
};

/** Put words into ctx->why and return @err. */
int loader_fail(struct loader_ctx *c, int err, const char *fmt, ...) __printf_fmt(3, 4);

/** Flat GDT (null, unused, code, data) and its description in the entry; @long64 chooses the
 *  code segment's kind. */
int __must_check loader_gdt(struct loader_ctx *c, bool long64);
/** Identity map of the first 4 GiB in 2 MiB pages; sets entry->cr3. */
int __must_check loader_identity_map(struct loader_ctx *c);
/** Command line with its NUL at LOAD_CMDLINE; -RAY_E2BIG beyond @max bytes. */
int __must_check loader_cmdline(struct loader_ctx *c, uint64_t max);
/** Place the initrd as high as possible below @limit (gpa), page aligned, above @floor.
 *  *gpa is 0 when there is none. */
int __must_check loader_initrd(struct loader_ctx *c, uint64_t floor, uint64_t limit, uint64_t *gpa);
/** Is [gpa, gpa+len) RAM from 1 MiB upwards, in one region? */
bool loader_range_ok(const struct vm *vm, uint64_t gpa, uint64_t len);

/* Each returns 0, an error with words in ctx->why, or -RAY_ENOSYS: not this format. */
int __must_check load_bzimage(struct loader_ctx *c);
int __must_check load_elf(struct loader_ctx *c);

#endif
