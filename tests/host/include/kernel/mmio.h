/* SPDX-License-Identifier: Apache-2.0 */
/* Host tests' kernel/mmio.h: registers are a model's, which the test provides. */
#ifndef RAYOS_KERNEL_MMIO_H
#define RAYOS_KERNEL_MMIO_H

#include "kernel/lib/types.h"

uint64_t fake_mmio_read(const void *base, uint32_t off, unsigned int size);
void fake_mmio_write(void *base, uint32_t off, unsigned int size, uint64_t v);

static inline uint8_t mmio_read8(const void *base, uint32_t off)
{
	return (uint8_t)fake_mmio_read(base, off, 1);
}

static inline uint16_t mmio_read16(const void *base, uint32_t off)
{
	return (uint16_t)fake_mmio_read(base, off, 2);
}

static inline uint32_t mmio_read32(const void *base, uint32_t off)
{
	return (uint32_t)fake_mmio_read(base, off, 4);
}

static inline uint64_t mmio_read64(const void *base, uint32_t off)
{
	return fake_mmio_read(base, off, 8);
}

static inline void mmio_write8(void *base, uint32_t off, uint8_t v)
{
	fake_mmio_write(base, off, 1, v);
}

static inline void mmio_write16(void *base, uint32_t off, uint16_t v)
{
	fake_mmio_write(base, off, 2, v);
}

static inline void mmio_write32(void *base, uint32_t off, uint32_t v)
{
	fake_mmio_write(base, off, 4, v);
}

static inline void mmio_write64(void *base, uint32_t off, uint64_t v)
{
	fake_mmio_write(base, off, 8, v);
}

#endif
