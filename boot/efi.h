/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place that includes gnu-efi, and what its headers lack.
 *
 * Owns: pointers to the firmware's tables, protocol definitions missing from gnu-efi.
 * Calls go straight through the tables: GNU_EFI_USE_MS_ABI gives them types and calling
 * convention. Context: boot services, BSP; nothing of libefi is linked.
 */
#ifndef RAYOS_BOOT_EFI_H
#define RAYOS_BOOT_EFI_H

#include <efi.h>

#include "kernel/lib/types.h"

extern EFI_SYSTEM_TABLE *efi_st;
extern EFI_BOOT_SERVICES *efi_bs;

/**
 * Find a configuration table by its GUID.
 * Returns: its address, NULL when the firmware has none
 * Trust:   what it points to is the firmware's and may be damaged
 */
void *efi_config_table(const EFI_GUID *guid);

/** The first instance of a protocol, NULL when there is none. */
void *efi_protocol(const EFI_GUID *guid);

/** enum ray_err, negated, for an EFI status. */
int efi_err(EFI_STATUS status);

/* UEFI PI 1.7 vol. 2, 13.4: EFI_MP_SERVICES_PROTOCOL, the part used here. */
#define EFI_MP_SERVICES_GUID \
	{ 0x3fdda605, 0xa76e, 0x4f46, { 0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08 } }
#define EFI_MP_BSP     (1u << 0)
#define EFI_MP_ENABLED (1u << 1)

struct efi_mp_info {
	UINT64 processor_id; /* APIC id */
	UINT32 flags;        /* EFI_MP_* */
	UINT32 package, core, thread;
	/* Later specifications let firmware write an extended location here. */
	UINT32 extended[6];
};

struct efi_mp_services {
	EFI_STATUS(EFIAPI *count_get)(struct efi_mp_services *mp, UINTN *all, UINTN *enabled);
	EFI_STATUS(EFIAPI *info_get)(struct efi_mp_services *mp, UINTN n, struct efi_mp_info *info);
};

/* TCG EFI Protocol Specification 1.00 rev 00.13, ch. 6: EFI_TCG2_PROTOCOL, the part used. */
#define EFI_TCG2_GUID \
	{ 0x607f766c, 0x7455, 0x42be, { 0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f } }
#define EFI_TCG2_FINAL_EVENTS_GUID \
	{ 0x1e2ed096, 0x30e2, 0x4254, { 0xbd, 0x89, 0x86, 0x3b, 0xbe, 0xf8, 0x23, 0x25 } }
#define EFI_TCG2_LOG_TCG_1_2 1u
#define EFI_TCG2_LOG_TCG_2   2u

struct efi_tcg2 {
	void *capability_get;
	EFI_STATUS(EFIAPI *event_log_get)(struct efi_tcg2 *tcg, UINT32 format,
					  EFI_PHYSICAL_ADDRESS *log, EFI_PHYSICAL_ADDRESS *last,
					  BOOLEAN *truncated);
};

struct efi_tcg2_final_events {
	UINT64 version;
	UINT64 count;
	UINT8 events[];
};

#endif
