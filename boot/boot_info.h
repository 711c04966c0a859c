/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the boot loader hands to the kernel: one versioned structure.
 *
 * Owns: the hand-over contract between boot/ (UEFI application) and kernel/.
 * Must not know: EFI headers (kernel code includes this file).
 *
 * Contract at kernel entry (BSP, long mode, interrupts off, boot services gone):
 *   RDI = address of struct boot_info in the loader's direct map (phys_map_base + hpa).
 *   CR3 = loader's page tables:
 *     - the kernel image at kernel_virt, per-segment permissions (W^X), relocations applied;
 *     - all RAM and everything below 4 GiB at phys_map_base, writable, no-execute, 2 MiB or
 *       1 GiB pages; EFER.NXE, CR0.WP set;
 *     - an identity mapping of the one page that held the jump (not to be relied on).
 *   The stack is 16 KiB of BOOT_MEM_LOADER, in the direct map; RSP as after a call. GDT, IDT
 *   and the segments' cached descriptors are still the firmware's and no longer mapped: the
 *   kernel loads its own before it loads a segment or takes an exception.
 *   CR4.PGE, PCIDE and CET are clear.
 * Every address in here is a host physical address unless its name ends in _virt or _base.
 * Everything pointed to lies in memory of type BOOT_MEM_LOADER (reclaimable by the kernel
 * after it has copied what it keeps) or BOOT_MEM_MODULE (modules, used in place).
 * The kernel rejects an unknown version, a smaller size, or a feature bit it does not know.
 */
#ifndef RAYOS_BOOT_BOOT_INFO_H
#define RAYOS_BOOT_BOOT_INFO_H

#include <stdint.h>

#define BOOT_INFO_MAGIC   0x4f464e49594152ull /* "RAYINFO" */
#define BOOT_INFO_VERSION 1u

/* features: set when the matching fields are valid. */
#define BOOT_FEAT_FB       (1ull << 0) /* GOP framebuffer */
#define BOOT_FEAT_ACPI     (1ull << 1) /* acpi_rsdp */
#define BOOT_FEAT_SMBIOS   (1ull << 2)
#define BOOT_FEAT_TCG_LOG  (1ull << 3)
#define BOOT_FEAT_CPUS     (1ull << 4) /* cpu list; else only the BSP is known */
#define BOOT_FEAT_EFI_RT   (1ull << 5) /* efi_systab, efi_map */
#define BOOT_FEAT_EFI_RNG  (1ull << 6) /* entropy[] holds EFI_RNG_PROTOCOL output */
#define BOOT_FEAT_CONF     (1ull << 7) /* rayos.conf was found */
#define BOOT_FEAT_KERNEL_ELF (1ull << 8) /* kernel_elf: the file, for its symbol table */
#define BOOT_FEAT_EFI_SEED (1ull << 9) /* seed[] holds EFI_RNG_PROTOCOL output */
#define BOOT_FEAT_KNOWN    ((1ull << 10) - 1)

enum boot_mem_type {
	BOOT_MEM_RAM = 1,      /* free to use */
	BOOT_MEM_LOADER = 2,   /* boot_info and what it points to, loader page tables */
	BOOT_MEM_KERNEL = 3,   /* the loaded kernel image */
	BOOT_MEM_MODULE = 4,   /* modules and rayos.conf, in place */
	BOOT_MEM_ACPI = 5,     /* ACPI reclaimable: tables */
	BOOT_MEM_ACPI_NVS = 6,
	BOOT_MEM_EFI_RT = 7,   /* EFI runtime code and data */
	BOOT_MEM_RESERVED = 8,
	BOOT_MEM_MMIO = 9,
	BOOT_MEM_BAD = 10,
};

/* Sorted by base, merged, non-overlapping where the loader could make it so; the kernel
 * checks again, firmware being what it is. */
struct boot_mem {
	uint64_t base; /* bytes */
	uint64_t len;  /* bytes */
	uint32_t type; /* enum boot_mem_type */
	uint32_t pad;
};

#define BOOT_CPU_ENABLED (1u << 0)
#define BOOT_CPU_BSP     (1u << 1)
struct boot_cpu {
	uint32_t apic_id;
	uint32_t flags;
};

struct boot_fb {
	uint64_t addr;
	uint64_t size;   /* bytes */
	uint32_t width;  /* pixels */
	uint32_t height; /* pixels */
	uint32_t pitch;  /* bytes per line */
	uint32_t red_mask, green_mask, blue_mask; /* 32 bits a pixel */
	uint32_t pad;
};

/* A range of bytes in physical memory. */
struct boot_blob {
	uint64_t addr;
	uint64_t size;
};

#define BOOT_MODULE_NAME_MAX 64u
struct boot_module {
	char name[BOOT_MODULE_NAME_MAX]; /* file name without its folder, NUL-terminated */
	uint64_t addr;                   /* page aligned */
	uint64_t size;                   /* bytes; the rest of the last page is zero */
	int32_t status;                  /* 0, or negative ray_err: listed but not loaded */
	uint32_t pad;
};

#define BOOT_ENTROPY_MAX 64u
#define BOOT_SEED_LEN    64u

struct boot_info {
	uint64_t magic;
	uint32_t size;    /* sizeof(struct boot_info) of the loader */
	uint32_t version;
	uint64_t features;

	uint64_t phys_map_base; /* virtual address of physical 0 in the loader's tables */
	uint64_t kernel_phys;   /* 2 MiB aligned, physically contiguous */
	uint64_t kernel_virt;   /* run-time address of the first byte of the image */
	uint64_t kernel_size;   /* bytes, page multiple, .bss included */
	uint64_t kernel_slide;  /* kernel_virt minus link address */
	struct boot_blob kernel_elf;

	struct boot_blob mem; /* array of struct boot_mem */
	uint32_t mem_count;
	uint32_t cpu_count;
	struct boot_blob cpus; /* array of struct boot_cpu, firmware order */
	struct boot_fb fb;

	uint64_t acpi_rsdp;
	uint64_t smbios;      /* entry point structure, 3.x preferred */
	uint64_t efi_systab;
	struct boot_blob efi_map; /* raw EFI memory map as of ExitBootServices */
	uint32_t efi_map_desc_size;
	uint32_t efi_map_desc_version;
	struct boot_blob tcg_log; /* TCG2 final+initial log, crypto-agile when available */
	uint32_t tcg_log_format;  /* EFI_TCG2_EVENT_LOG_FORMAT_* */

	uint32_t ap_trampoline; /* a 4 KiB page below 1 MiB for starting APs, BOOT_MEM_RESERVED
				 * in the map; 0 when there was none */

	struct boot_blob conf;  /* rayos.conf as read */
	struct boot_blob modules; /* array of struct boot_module */
	uint32_t module_count;
	uint32_t entropy_len;   /* valid bytes of entropy[] */
	uint8_t entropy[BOOT_ENTROPY_MAX]; /* EFI_RNG, else RDRAND, else zero length */

	struct boot_blob log;   /* loader's messages (warnings, what was missing), text lines */
	uint64_t tsc_start;     /* TSC when the loader began */
	uint64_t tsc_exit;      /* TSC at ExitBootServices */

	/* Key material: for the kernel's generator alone, nothing else is made of it, and whoever
	 * has taken it erases it here. entropy[] above is for placing things. */
	uint8_t seed[BOOT_SEED_LEN];
};

#endif
