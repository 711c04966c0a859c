/* SPDX-License-Identifier: Apache-2.0 */
#include "hv/loader/e820.h"

#include "hv/gmem.h"

static void add(struct e820_entry *out, unsigned int *n, uint64_t from, uint64_t to, uint32_t type)
{
	if (to > from)
		out[(*n)++] = (struct e820_entry){ from, to - from, type };
}

unsigned int e820_build(const struct gmem *m, struct e820_entry out[E820_MAX])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < m->count; i++) {
		const struct gmem_region *r = &m->region[i];
		uint64_t base = r->base.v;
		uint64_t end = base + r->size;

		if (r->type != GMEM_RAM)
			continue;
		if (base == 0) {
			add(out, &n, 0, GUEST_LOW_RAM_END, E820_RAM);
			add(out, &n, GUEST_LOW_RAM_END, GUEST_ONE_MIB, E820_RESERVED);
			base = GUEST_ONE_MIB;
		}
		add(out, &n, base, end, E820_RAM);
	}
	return n;
}
