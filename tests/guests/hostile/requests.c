/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests no driver makes: sizes and fields of every kind of garbage, most of it near what is
 * right, since what is far off is refused at once.
 */
#include "hostile.h"

#define REQUESTS   250u
#define WORDS      16u
#define GUEST_PAGES 0x100000u /* page frames behind all memory a small guest has */

/* A word of a request: small, huge, or next to a limit. */
static uint32_t word(void)
{
	static const uint32_t edges[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x101, 0x105, 0x10a, 0x200,
					 511, 512, 513, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
	uint64_t d = dice();

	switch (d & 3) {
	case 0: return (uint32_t)(d >> 8) & 0xf;
	case 1: return (uint32_t)(d >> 8);
	default: return edges[(d >> 8) % (sizeof(edges) / sizeof(edges[0]))];
	}
}

/* A balloon takes page frames: its own memory the guest still needs. */
static uint32_t balloon_word(void)
{
	return word() | GUEST_PAGES;
}

static void garbage(struct target *t)
{
	static const uint16_t lengths[] = {0, 1, 4, 8, 12, 15, 16, 17, 24, 32, 44, 64, 512, 513, 1024};
	const unsigned n = sizeof(lengths) / sizeof(lengths[0]);
	uint16_t out = lengths[dice() % n], in = lengths[dice() % n], cut = out / 2;
	volatile uint32_t *words = (volatile uint32_t *)t->buffer;

	for (unsigned i = 0; i < WORDS; i++)
		words[i] = t->type == VIRTIO_BALLOON ? balloon_word() : word();
	/* In one piece, or the device's part of it in two. */
	if (dice() & 1) {
		vring_desc_set(&t->ring, 0, t->buffer, out, VRING_NEXT, 1);
		vring_desc_set(&t->ring, 1, t->buffer + 2048, in, VRING_WRITE, 0);
	} else {
		vring_desc_set(&t->ring, 0, t->buffer, cut, VRING_NEXT, 2);
		vring_desc_set(&t->ring, 2, t->buffer + cut, (uint32_t)(out - cut),
			       in ? VRING_NEXT : 0, 1);
		vring_desc_set(&t->ring, 1, t->buffer + 2048, in, VRING_WRITE, 0);
	}
	vring_push(&t->ring, 0);
}

void attack_requests(struct target *t)
{
	unsigned answered = 0, broken = 0;

	target_begin(t, 0);
	for (unsigned i = 0; i < rounds(REQUESTS); i++) {
		unsigned end;

		garbage(t);
		end = target_kick(t, ANY);
		while (vring_used_waiting(&t->ring)) {
			uint32_t len;

			vring_used_take(&t->ring, &len);
		}
		answered += end == USED;
		broken += end == BROKEN;
		if (end != USED || i % 32 == 31)
			target_begin(t, i & 32 ? ~0ul : 0);
	}
	print("HOSTILE %s requests=%u answered=%u broken=%u\n", t->name, rounds(REQUESTS), answered, broken);
	target_end(t, "requests of garbage", NOTHING, ANY);
}
