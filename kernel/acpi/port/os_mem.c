// SPDX-License-Identifier: Apache-2.0
/* ACPICA's memory: heap, mappings of what firmware may name, the lock shared with firmware. */
#include <acpi/acpi.h>

#include "kernel/acpi/guard.h"
#include "kernel/acpi/tables.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmap.h"

acpi_physical_address acpi_os_get_root_pointer(void)
{
	return acpi_rsdp_hpa().v;
}

void *acpi_os_allocate(acpi_size size)
{
	return kmalloc(size, MEM_ACPI);
}

void acpi_os_free(void *memory)
{
	kfree(memory);
}

void *acpi_os_map_memory(acpi_physical_address where, acpi_size length)
{
	enum vmap_cache cache;

	if (!acpi_guard_allows(where, length, &cache))
		return NULL;
	return vmap(HPA(where), length, cache, true);
}

void acpi_os_unmap_memory(void *logical_address, acpi_size size)
{
	(void)size;
	vunmap(logical_address);
}

static void *access_map(acpi_physical_address address, u32 width)
{
	if (width != 8 && width != 16 && width != 32 && width != 64)
		return NULL;
	return acpi_os_map_memory(address, width / 8);
}

acpi_status acpi_os_read_memory(acpi_physical_address address, u64 *value, u32 width)
{
	void *p = access_map(address, width);

	if (!p)
		return AE_BAD_ADDRESS;
	switch (width) {
	case 8:
		*value = *(volatile uint8_t *)p;
		break;
	case 16:
		*value = *(volatile uint16_t *)p;
		break;
	case 32:
		*value = *(volatile uint32_t *)p;
		break;
	default:
		*value = *(volatile uint64_t *)p;
		break;
	}
	vunmap(p);
	return AE_OK;
}

acpi_status acpi_os_write_memory(acpi_physical_address address, u64 value, u32 width)
{
	void *p = access_map(address, width);

	if (!p)
		return AE_BAD_ADDRESS;
	switch (width) {
	case 8:
		*(volatile uint8_t *)p = (uint8_t)value;
		break;
	case 16:
		*(volatile uint16_t *)p = (uint16_t)value;
		break;
	case 32:
		*(volatile uint32_t *)p = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)p = value;
		break;
	}
	vunmap(p);
	return AE_OK;
}

/* ACPI 6.5, 5.2.10.1: bit 0 pending, bit 1 owned. */
#define LOCK_PENDING 1u
#define LOCK_OWNED   2u

bool acpi_port_global_lock_acquire(uint32_t *lock)
{
	uint32_t old = __atomic_load_n(lock, __ATOMIC_RELAXED), want;

	do {
		want = (old & ~LOCK_PENDING) | LOCK_OWNED;
		if (old & LOCK_OWNED)
			want |= LOCK_PENDING;
	} while (!__atomic_compare_exchange_n(lock, &old, want, false, __ATOMIC_ACQUIRE,
					      __ATOMIC_RELAXED));
	return !(want & LOCK_PENDING);
}

bool acpi_port_global_lock_release(uint32_t *lock)
{
	uint32_t old = __atomic_fetch_and(lock, ~(LOCK_PENDING | LOCK_OWNED), __ATOMIC_RELEASE);

	return (old & LOCK_PENDING) != 0;
}
