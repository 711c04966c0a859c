/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU list: from the MADT, or where there is none by asking EFI_MP_SERVICES. */
#include "boot/con.h"
#include "boot/cpu.h"
#include "boot/efi.h"
#include "boot/hw.h"
#include "boot/madt.h"
#include "boot/mem.h"

#define CPUS_MAX 1024u

/* Intel SDM vol. 2A, CPUID leaves 1 and 0BH. */
static uint32_t own_apic_id(void)
{
	if (cpuid(0, 0).eax >= 0xb) {
		struct cpuid r = cpuid(0xb, 0);

		if (r.ebx != 0)
			return r.edx;
	}
	return cpuid(1, 0).ebx >> 24;
}

static uint32_t from_mp_services(struct boot_cpu *out, uint32_t max)
{
	static const EFI_GUID guid = EFI_MP_SERVICES_GUID;
	struct efi_mp_services *mp = efi_protocol(&guid);
	UINTN all, enabled;
	uint32_t n = 0;

	if (mp == NULL || EFI_ERROR(mp->count_get(mp, &all, &enabled)))
		return 0;
	for (UINTN i = 0; i < all && n < max; i++) {
		struct efi_mp_info info = {0};

		if (EFI_ERROR(mp->info_get(mp, i, &info)) || (info.flags & EFI_MP_ENABLED) == 0)
			continue;
		out[n++] = (struct boot_cpu){
			.apic_id = (uint32_t)info.processor_id,
			.flags = BOOT_CPU_ENABLED |
				 ((info.flags & EFI_MP_BSP) != 0 ? BOOT_CPU_BSP : 0),
		};
	}
	return n;
}

int cpus_collect(struct boot_info *bi)
{
	const char *source = "ACPI MADT";
	const void *madt;
	struct boot_cpu *cpus;
	uint64_t addr;
	uint32_t len;
	int err;

	err = mem_alloc_zeroed(CPUS_MAX * sizeof(*cpus), &addr);
	if (err)
		return err;
	cpus = mem_ptr(addr);
	madt = acpi_table(bi, "APIC", &len);
	if (madt != NULL)
		bi->cpu_count = madt_cpus(madt, len, own_apic_id(), cpus, CPUS_MAX);
	if (bi->cpu_count == 0) {
		source = "EFI_MP_SERVICES";
		bi->cpu_count = from_mp_services(cpus, CPUS_MAX);
	}
	if (bi->cpu_count == 0) {
		con_warn("no CPU list from firmware: only this CPU will be used\n");
		mem_free(addr);
		return 0;
	}
	bi->cpus = (struct boot_blob){addr, bi->cpu_count * sizeof(*cpus)};
	bi->features |= BOOT_FEAT_CPUS;
	con_print("cpus: %u from %s\n", bi->cpu_count, source);
	return 0;
}
