/* SPDX-License-Identifier: Apache-2.0 */
#include "net/csum.h"

#include <string.h>

#include "kernel/lib/unaligned.h"

static inline uint64_t add_carry(uint64_t sum, uint64_t v)
{
	sum += v;
	return sum + (sum < v);
}

/* The sum is the same in any byte order and any word size, as long as carries come round. */
static uint64_t sum_bytes(const uint8_t *p, uint32_t n)
{
	uint64_t sum = 0, last = 0;

	for (; n >= 32; n -= 32, p += 32) {
		sum = add_carry(sum, load64(p));
		sum = add_carry(sum, load64(p + 8));
		sum = add_carry(sum, load64(p + 16));
		sum = add_carry(sum, load64(p + 24));
	}
	for (; n >= 8; n -= 8, p += 8)
		sum = add_carry(sum, load64(p));
	memcpy(&last, p, n);
	return add_carry(sum, last);
}

void net_csum_add(struct net_csum *c, const void *p, uint32_t n)
{
	const struct net_csum part = {.sum = sum_bytes(p, n)};
	uint16_t v = net_csum_fold(&part);

	c->sum += c->odd ? __builtin_bswap16(v) : v;
	c->odd ^= n & 1;
}
