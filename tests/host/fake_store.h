/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A partition for the volume store, in memory, that keeps what a disk with a volatile cache keeps
 * when power goes: what was flushed, and of the writes since then any sectors. Included by one .c
 * of a test.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_STORE_H
#define RAYOS_TESTS_HOST_FAKE_STORE_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/store/store_core.h"

#ifndef FAKE_STORE_BLOCKS
#define FAKE_STORE_BLOCKS  8192u
#endif
#define FAKE_STORE_PENDING 20000u
#define FAKE_STORE_SECTOR  512u

/* Flushes by what was written last before. */
#define FAKE_LIE_DATA  1u /* data, nodes */
#define FAKE_LIE_LOG   2u
#define FAKE_LIE_SUPER 4u

struct fake_write {
	uint64_t block;
	uint8_t *data;
};

struct fake_store {
	const struct fake_store *below; /* what it was cut from: shows through */
	uint8_t *page[FAKE_STORE_BLOCKS]; /* NULL: zeros */
	struct fake_write pending[FAKE_STORE_PENDING];
	unsigned int pending_count;
	bool keep_pending;   /* remember writes that were not flushed */
	unsigned int lies;   /* FAKE_LIE_*: flushes that do nothing, which tests are to notice */
	uint64_t last;       /* block that was written last */
	uint32_t log_end;    /* the first block behind the log */
	unsigned long writes, reads, flushes;
	long fail_write_at, fail_read_at, fail_flush_at; /* n: the n-th from now fails; 0: none */
	void (*before_write)(void *arg); /* a place to cut */
	void *arg;
	uint64_t now;
};

static const uint8_t *fake_store_page(const struct fake_store *d, uint64_t block)
{
	for (; d; d = d->below) {
		if (d->page[block])
			return d->page[block];
	}
	return NULL;
}

static bool fake_store_fails(long *at)
{
	return *at > 0 && --*at == 0;
}

static int fake_store_read(void *ctx, uint64_t block, void *buf, uint32_t count)
{
	struct fake_store *d = ctx;

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *p;

		assert(block + i < FAKE_STORE_BLOCKS);
		p = fake_store_page(d, block + i);
		d->reads++;
		if (fake_store_fails(&d->fail_read_at))
			return -RAY_EIO;
		if (p)
			memcpy((uint8_t *)buf + (size_t)i * STORE_BLOCK, p, STORE_BLOCK);
		else
			memset((uint8_t *)buf + (size_t)i * STORE_BLOCK, 0, STORE_BLOCK);
	}
	return 0;
}

static void fake_store_put(struct fake_store *d, uint64_t block, const uint8_t *data)
{
	if (!d->page[block]) {
		d->page[block] = malloc(STORE_BLOCK);
		assert(d->page[block]);
	}
	memcpy(d->page[block], data, STORE_BLOCK);
}

static void fake_store_forget(struct fake_store *d)
{
	for (unsigned int i = 0; i < d->pending_count; i++)
		free(d->pending[i].data);
	d->pending_count = 0;
}

/* The durable contents stay in page[]; what was not flushed is on top, in a second store. */
static struct fake_store *fake_store_cached;

static int fake_store_write(void *ctx, uint64_t block, const void *buf, uint32_t count)
{
	struct fake_store *d = ctx;

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *data = (const uint8_t *)buf + (size_t)i * STORE_BLOCK;

		assert(block + i < FAKE_STORE_BLOCKS);
		if (d->before_write)
			d->before_write(d->arg);
		d->writes++;
		if (fake_store_fails(&d->fail_write_at))
			return -RAY_EIO;
		if (d->keep_pending) {
			struct fake_write *w = &d->pending[d->pending_count++];

			assert(d->pending_count < FAKE_STORE_PENDING);
			w->block = block + i;
			w->data = malloc(STORE_BLOCK);
			assert(w->data);
			memcpy(w->data, data, STORE_BLOCK);
		}
		fake_store_put(d, block + i, data);
		d->last = block + i;
	}
	return 0;
}

static bool fake_store_lies(const struct fake_store *d)
{
	unsigned int after = d->last == 0 || d->last == FAKE_STORE_BLOCKS - 1 ? FAKE_LIE_SUPER
			     : d->last < d->log_end ? FAKE_LIE_LOG : FAKE_LIE_DATA;

	return (d->lies & after) != 0;
}

static int fake_store_flush(void *ctx)
{
	struct fake_store *d = ctx;

	d->flushes++;
	if (fake_store_fails(&d->fail_flush_at))
		return -RAY_EIO;
	if (!fake_store_lies(d)) {
		for (unsigned int i = 0; fake_store_cached && i < d->pending_count; i++)
			fake_store_put(fake_store_cached, d->pending[i].block, d->pending[i].data);
		fake_store_forget(d);
	}
	return 0;
}

static void fake_store_drain(void *ctx)
{
	(void)ctx; /* nothing is under way here */
}

static uint64_t fake_store_seconds(void *ctx)
{
	return ((struct fake_store *)ctx)->now++;
}

static struct store_port fake_store_port(struct fake_store *d)
{
	return (struct store_port){.ctx = d, .blocks = FAKE_STORE_BLOCKS, .read = fake_store_read,
				   .write = fake_store_write, .flush = fake_store_flush,
				   .drain = fake_store_drain, .seconds = fake_store_seconds};
}

static void fake_store_free(struct fake_store *d)
{
	fake_store_forget(d);
	for (unsigned int i = 0; i < FAKE_STORE_BLOCKS; i++) {
		free(d->page[i]);
		d->page[i] = NULL;
	}
}

/*
 * What may be on the disk when power goes now: @durable, which is what was flushed, and some
 * sectors of some writes since, in any order. @chance: 0 to 256, of a sector to be there.
 */
static __unused void fake_store_cut(struct fake_store *out, const struct fake_store *durable,
				    const struct fake_store *d, unsigned int chance)
{
	uint8_t block[STORE_BLOCK];

	memset(out, 0, sizeof(*out));
	out->below = durable;
	for (unsigned int i = 0; i < d->pending_count; i++) {
		const struct fake_write *w = &d->pending[i];
		const uint8_t *p = fake_store_page(out, w->block);
		bool whole = (rand() & 3) != 0, all = (unsigned int)(rand() & 255) < chance;

		if (p)
			memcpy(block, p, STORE_BLOCK);
		else
			memset(block, 0, STORE_BLOCK);
		for (unsigned int s = 0; s < STORE_BLOCK; s += FAKE_STORE_SECTOR) {
			bool this = whole ? all : (unsigned int)(rand() & 255) < chance;

			if (this)
				memcpy(block + s, w->data + s, FAKE_STORE_SECTOR);
		}
		fake_store_put(out, w->block, block);
	}
}

#endif
