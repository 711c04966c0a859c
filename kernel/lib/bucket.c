/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/lib/bucket.h"

#include "kernel/lib/muldiv.h"

void bucket_init(struct bucket *b, uint64_t rate, uint64_t burst, uint64_t hz)
{
	uint64_t mul = 0;
	uint32_t shift = 63;

	burst = MIN(MAX(burst, 1u), BUCKET_AMOUNT_MAX);
	if (rate != 0) {
		rate = MIN(rate, BUCKET_RATE_MAX);
		/* As many bits of fraction as fit. */
		while ((mul = mul_div(rate, 1ull << shift, hz)) == UINT64_MAX)
			shift--;
		/* Up, so that what is due at a whole tick is there at it and not at the next. */
		mul++;
	}
	*b = (struct bucket){
		.mul = mul,
		.shift = shift,
		.burst = burst,
		.wanted = 0 - burst - 1, /* so that the first refusal is one */
	};
}

/* The first tick at which @missing more units than at @now have been produced. */
static uint64_t tick_of(const struct bucket *b, uint64_t now, uint64_t missing)
{
	/* Of the first of them a part is there already. */
	uint64_t part = (now * b->mul) & ((1ull << b->shift) - 1);
	unsigned __int128 wide = ((unsigned __int128)missing << b->shift) - part;
	uint64_t ticks = div_wide(wide + b->mul - 1, b->mul);

	return ticks > UINT64_MAX - now ? UINT64_MAX : now + ticks;
}

uint64_t bucket_take_slow(struct bucket *b, uint64_t now, uint64_t amount)
{
	uint64_t position = bucket_position(b, now), need = MIN(amount, b->burst);
	uint64_t full_at = __atomic_load_n(&b->full_at, __ATOMIC_RELAXED), lag;

	amount = MIN(amount, BUCKET_AMOUNT_MAX);
	do {
		lag = bucket_lag(full_at, position);
		if (lag + need > b->burst)
			return tick_of(b, now, lag + need - b->burst);
	} while (!__atomic_compare_exchange_n(&b->full_at, &full_at, position + lag + amount, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return 0;
}

bool bucket_crossed(struct bucket *b, uint64_t now, uint64_t when)
{
	uint64_t before = __atomic_exchange_n(&b->wanted, bucket_position(b, when),
					      __ATOMIC_RELAXED);

	return (int64_t)(bucket_position(b, now) - before - b->burst) > 0;
}
