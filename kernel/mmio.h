/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of devices in memory (pci_bar_map()). Shadowed by a model in host tests.
 * Accesses are done once, whole and in order among each other; what a device is to find in memory
 * when it is told of it is written before (x86 keeps stores in order, SDM vol. 3, 9.2.2).
 */
#ifndef RAYOS_KERNEL_MMIO_H
#define RAYOS_KERNEL_MMIO_H

#include "kernel/lib/types.h"

static inline uint8_t mmio_read8(const void *base, uint32_t off)
{
	return *(const volatile uint8_t *)((const char *)base + off);
}

static inline uint16_t mmio_read16(const void *base, uint32_t off)
{
	return *(const volatile uint16_t *)(const void *)((const char *)base + off);
}

static inline uint32_t mmio_read32(const void *base, uint32_t off)
{
	return *(const volatile uint32_t *)(const void *)((const char *)base + off);
}

static inline uint64_t mmio_read64(const void *base, uint32_t off)
{
	return *(const volatile uint64_t *)(const void *)((const char *)base + off);
}

static inline void mmio_write8(void *base, uint32_t off, uint8_t v)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	*(volatile uint8_t *)((char *)base + off) = v;
}

static inline void mmio_write16(void *base, uint32_t off, uint16_t v)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	*(volatile uint16_t *)(void *)((char *)base + off) = v;
}

static inline void mmio_write32(void *base, uint32_t off, uint32_t v)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	*(volatile uint32_t *)(void *)((char *)base + off) = v;
}

static inline void mmio_write64(void *base, uint32_t off, uint64_t v)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	*(volatile uint64_t *)(void *)((char *)base + off) = v;
}

#endif
