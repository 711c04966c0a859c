/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums of data, where a volume has them: two blocks' in a record. */
#include <zlib.h>

#include "kernel/lib/err.h"
#include "kernel/store/store_priv.h"

uint32_t store_sum_of(const void *p, size_t len)
{
	return (uint32_t)crc32(0, p, (uInt)len);
}

static uint64_t sums_key(uint64_t phys)
{
	return STORE_KEY(STORE_SUMS, phys / 2);
}

int sums_prepare(struct store *st, uint64_t phys, uint64_t n)
{
	return tree_load(st, sums_key(phys), sums_key(phys + n - 1));
}

void sums_put(struct store *st, uint64_t phys, uint32_t n, const uint32_t *sums)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t key = sums_key(phys + i), val = 0, mask = 0xffffffffull;
		unsigned int shift = ((phys + i) & 1) * 32;
		struct cursor c;

		if (tree_get(&st->tree, key, &val, &c) == 0)
			tree_set(st, &c, (val & ~(mask << shift)) | (uint64_t)sums[i] << shift);
		else
			tree_put(st, key, (uint64_t)sums[i] << shift);
	}
}

void sums_del(struct store *st, uint64_t phys, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t key = sums_key(phys + i), val = 0;
		bool first = ((phys + i) & 1) == 0;
		uint64_t rest;
		struct cursor c;

		if (tree_get(&st->tree, key, &val, &c) != 0)
			continue;
		rest = first ? val & 0xffffffff00000000ull : val & 0xffffffffull;
		if (rest == 0)
			tree_del(st, key);
		else
			tree_set(st, &c, rest);
	}
}

int store_sum(struct store *st, uint64_t phys, uint32_t *sum)
{
	uint64_t val = 0;
	struct cursor c;
	int err = tree_floor_load(st, sums_key(phys), &c);

	if (err)
		return err;
	err = tree_get(&st->tree, sums_key(phys), &val, &c);
	if (err && err != -RAY_ENOENT)
		return err;
	/* One whose blocks' sums are 0 has no record. */
	*sum = (uint32_t)(val >> (phys & 1) * 32);
	return 0;
}
