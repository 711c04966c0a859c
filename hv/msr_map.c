// SPDX-License-Identifier: Apache-2.0
#include "hv/msr_map.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/mm/page.h"

static const struct msr_map_format *format;
static uint64_t shared_pa; /* 0: none yet */

/* Both backends switch these with the guest: in the VMCS, by VMLOAD and VMSAVE, or at load. */
static const uint32_t switched[] = {
	0xc0000081, /* STAR */
	0xc0000082, /* LSTAR */
	0xc0000083, /* CSTAR */
	0xc0000084, /* SFMASK */
	0xc0000100, /* FS_BASE */
	0xc0000101, /* GS_BASE */
	0xc0000102, /* KERNEL_GS_BASE */
	0x00000174, /* SYSENTER_CS */
	0x00000175, /* SYSENTER_ESP */
	0x00000176, /* SYSENTER_EIP */
};

static size_t map_bytes(void)
{
	return PAGE_SIZE << format->order;
}

static void bit_put(uint8_t *map, uint32_t bit, bool set)
{
	uint8_t mask = (uint8_t)(1u << (bit % 8));

	if (set)
		map[bit / 8] |= mask;
	else
		map[bit / 8] &= (uint8_t)~mask;
}

int msr_map_init(const struct msr_map_format *f)
{
	uint32_t read, write;
	uint8_t *map;
	hpa_t page;
	int err;

	if (shared_pa)
		return 0;
	err = page_alloc(f->order, 0, &page);
	if (err)
		return err;
	format = f;
	map = hpa_to_va(page);
	memset(map, 0xff, map_bytes());
	for (size_t i = 0; i < ARRAY_SIZE(switched); i++) {
		if (format->bits(switched[i], &read, &write))
			continue;
		bit_put(map, read, false);
		bit_put(map, write, false);
	}
	shared_pa = page.v;
	return 0;
}

void msr_map_vm_init(struct msr_map *m)
{
	m->own = NULL;
	m->pa = shared_pa;
}

void msr_map_vm_fini(struct msr_map *m)
{
	if (m->own)
		page_free(HPA(m->pa), format->order);
	m->own = NULL;
}

int msr_map_pass(struct msr_map *m, uint32_t msr, bool read, bool write)
{
	uint32_t read_bit, write_bit;
	hpa_t copy;
	int err = format->bits(msr, &read_bit, &write_bit);

	if (err)
		return read || write ? err : 0;
	if (!m->own) {
		err = page_alloc(format->order, 0, &copy);
		if (err)
			return err;
		m->own = hpa_to_va(copy);
		m->pa = copy.v;
		memcpy(m->own, hpa_to_va(HPA(shared_pa)), map_bytes());
	}
	bit_put(m->own, read_bit, !read);
	bit_put(m->own, write_bit, !write);
	return 0;
}
