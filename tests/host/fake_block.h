/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One block device, "fake1", in place of the block layer: requests end when the test says so, in
 * what order and how, or at once. Included by one .c of a test.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_BLOCK_H
#define RAYOS_TESTS_HOST_FAKE_BLOCK_H

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "devices/virt/back/blk_back.h"
#include "kernel/block/block.h"
#include "kernel/lib/err.h"
#include "kernel/mm/page.h"

#define FAKE_BLOCK_SIZE MIB(1)
#define FAKE_BLOCK_MAX  4096u

struct block_dev {
	struct block_ident ident;
	struct block_limits limits;
	const char *owner;
	int refs;
};

static struct block_dev fake_block = {
	.ident = {.name = "fake1", .size = FAKE_BLOCK_SIZE},
	.limits = {.logical = 512, .physical = 4096, .discard_granule = 4096},
};
static uint8_t fake_block_data[FAKE_BLOCK_SIZE];
static struct block_req *fake_block_req[FAKE_BLOCK_MAX]; /* under way, the oldest first */
static unsigned int fake_block_count;
static bool fake_block_at_once;

struct block_dev *block_get(const char *name)
{
	if (strcmp(name, "fake1") != 0)
		return NULL;
	fake_block.refs++;
	return &fake_block;
}

void block_put(struct block_dev *dev)
{
	dev->refs--;
}

int block_claim(struct block_dev *dev, const char *who)
{
	if (dev->owner)
		return -RAY_EBUSY;
	dev->owner = who;
	return 0;
}

void block_release(struct block_dev *dev)
{
	dev->owner = NULL;
}

const struct block_ident *block_ident(const struct block_dev *dev)
{
	return &dev->ident;
}

const struct block_limits *block_limits(const struct block_dev *dev)
{
	return &dev->limits;
}

static void fake_block_do(const struct block_req *r)
{
	uint64_t off = r->off;

	if (r->op == BLOCK_ZERO || r->op == BLOCK_DISCARD)
		memset(fake_block_data + off, r->op == BLOCK_ZERO ? 0 : 0xdd, r->len);
	for (uint32_t i = 0; i < r->seg_count; i++) {
		void *mem = hpa_to_va(r->seg[i].addr);

		if (r->op == BLOCK_READ)
			memcpy(mem, fake_block_data + off, r->seg[i].len);
		else
			memcpy(fake_block_data + off, mem, r->seg[i].len);
		off += r->seg[i].len;
	}
}

/* End the @i-th request under way. */
static void fake_block_end(unsigned int i, int err)
{
	struct block_req *r = fake_block_req[i];

	assert(i < fake_block_count);
	fake_block_count--;
	memmove(&fake_block_req[i], &fake_block_req[i + 1],
		(fake_block_count - i) * sizeof(fake_block_req[0]));
	if (!err)
		fake_block_do(r);
	r->done(r, err);
}

void block_submit(struct block_dev *dev, struct block_req *r)
{
	uint64_t sum = 0;

	assert(dev == &fake_block && dev->owner);
	assert(r->off <= FAKE_BLOCK_SIZE && r->len <= FAKE_BLOCK_SIZE - r->off);
	for (uint32_t i = 0; i < r->seg_count; i++)
		sum += r->seg[i].len;
	assert(sum == (r->op == BLOCK_READ || r->op == BLOCK_WRITE ? r->len : 0));
	assert(fake_block_count < FAKE_BLOCK_MAX);
	fake_block_req[fake_block_count++] = r;
	if (fake_block_at_once)
		fake_block_end(fake_block_count - 1, 0);
}

/* There is no store here. */
int blk_volume_create(const char *name, bool read_only, struct blk_back **out,
		      char why[STORE_WHY_LEN])
{
	(void)name;
	(void)read_only;
	(void)out;
	snprintf(why, STORE_WHY_LEN, "no store is mounted");
	return -RAY_ENOENT;
}

#endif
