/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What PC firmware would have left in the top 128 KiB below 1 MiB: ACPI tables and SMBIOS.
 * Pure but for firmware_write().
 */
#ifndef RAYOS_DEVICES_VIRT_FIRMWARE_H
#define RAYOS_DEVICES_VIRT_FIRMWARE_H

#include "kernel/lib/types.h"

struct vm;

#define FIRMWARE_ACPI       0xe0000u
#define FIRMWARE_ACPI_SIZE  0x10000u
#define FIRMWARE_SMBIOS     0xf0000u
#define FIRMWARE_SMBIOS_SIZE 0x1000u

/**
 * Write both into guest memory.
 * Context: thread. Returns: 0, -RAY_ENOMEM, -RAY_EFAULT (no memory there).
 */
int __must_check firmware_write(struct vm *vm);

/**
 * Build the ACPI tables for a machine of @cpus CPUs as they lie at @gpa: RSDP first.
 * @out   zeroed, @cap bytes
 * Returns: bytes used, 0 when they do not fit.
 */
size_t virt_acpi_build(uint8_t *out, size_t cap, uint32_t gpa, unsigned int cpus);

struct virt_smbios {
	const char *name; /* of the VM: asset tag, and its UUID follows from it */
	uint64_t memory;  /* bytes */
	unsigned int cpus;
};
/** The same for SMBIOS: 2.1 entry point, 3.0 entry point, structures. */
size_t virt_smbios_build(uint8_t *out, size_t cap, uint32_t gpa, const struct virt_smbios *info);

/** The byte that makes the sum of @len bytes zero, given a 0 in its place. */
uint8_t firmware_checksum(const uint8_t *p, size_t len);

#endif
