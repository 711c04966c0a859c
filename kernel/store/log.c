/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: what changed since the last checkpoint, in the order it was done. A commit writes what
 * has been noted as one group of blocks, which counts as a whole or not at all.
 */
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/store/store_priv.h"

#define PAGES_MAX  128u /* noted before a commit writes them: a group */
#define LOOK_AHEAD (2 * PAGES_MAX)

static uint64_t half_start(const struct store *st)
{
	return 1 + (st->super.gen & 1) * st->super.log_blocks;
}

static uint32_t block_sum(struct store_log_block *b)
{
	uint32_t was = b->sum, sum;

	b->sum = 0;
	sum = store_sum_of(b, STORE_BLOCK);
	b->sum = was;
	return sum;
}

/* --- noting --- */

static void page_free(struct log_page *p)
{
	if (p)
		kfree(p->b);
	kfree(p);
}

int log_prepare(struct store *st)
{
	struct log *log = &st->log;
	struct log_page *p;

	if (log->written + log->pages + 1 > st->super.log_blocks)
		return -RAY_ENOSPC;
	if (log->spare)
		return 0;
	p = kzalloc(sizeof(*p), MEM_STORE);
	if (p)
		p->b = kzalloc(sizeof(*p->b), MEM_STORE);
	if (!p || !p->b) {
		page_free(p);
		return -RAY_ENOMEM;
	}
	log->spare = p;
	return log->pages >= PAGES_MAX ? log_commit(st) : 0;
}

static void page_begin(struct log *log)
{
	struct log_page *p = log->spare;

	log->spare = NULL;
	if (log->last)
		log->last->next = p;
	else
		log->first = p;
	log->last = p;
	log->pages++;
	log->state = (struct log_state){0, 0};
}

void log_put(struct store *st, const struct op *op)
{
	struct log *log = &st->log;
	struct log_state s = log->state;
	uint8_t record[LOG_RECORD_MAX];
	size_t len = log_encode(record, &s, op);

	if (!log->last || len > sizeof(log->last->b->data) - log->last->b->len) {
		page_begin(log);
		s = log->state;
		len = log_encode(record, &s, op);
	}
	memcpy(log->last->b->data + log->last->b->len, record, len);
	log->last->b->len = (uint16_t)(log->last->b->len + len);
	log->state = s;
}

static void forget(struct log *log)
{
	while (log->first) {
		struct log_page *p = log->first;

		log->first = p->next;
		page_free(p);
	}
	log->last = NULL;
	log->pages = 0;
}

void log_reset(struct store *st)
{
	forget(&st->log);
	st->log.written = 0;
	st->log.groups = 0;
}

void log_fini(struct store *st)
{
	forget(&st->log);
	page_free(st->log.spare);
	st->log.spare = NULL;
}

/* --- writing --- */

static int group_write(struct store *st)
{
	struct log *log = &st->log;
	uint32_t at = log->written;
	int err = 0;

	for (struct log_page *p = log->first; p && !err; p = p->next) {
		p->b->magic = STORE_LOG_MAGIC;
		p->b->store = st->id;
		p->b->gen = st->super.gen;
		p->b->at = at;
		p->b->flags = (uint16_t)(log->groups << 1 | (p->next ? 0 : STORE_LOG_COMMIT));
		p->b->sum = block_sum(p->b);
		err = st->port.write(st->port.ctx, half_start(st) + at, p->b, 1);
		at++;
	}
	return err;
}

int log_commit(struct store *st)
{
	struct log *log = &st->log;
	int err;

	if (st->failed)
		return st->failed;
	/* The data that records name has to be there before them. */
	err = st->port.flush(st->port.ctx);
	if (!err && log->first) {
		err = group_write(st);
		if (!err)
			err = st->port.flush(st->port.ctx);
	}
	if (err)
		return store_fail(st, err, "the log could not be written");
	st->stats.log_blocks += log->pages;
	st->stats.commits += log->first != NULL;
	log->written += log->pages;
	log->groups += log->first != NULL;
	forget(log);
	return 0;
}

/* --- doing it again --- */

static bool block_valid(const struct store *st, struct store_log_block *b, uint32_t at)
{
	return b->magic == STORE_LOG_MAGIC && b->store == st->id && b->gen == st->super.gen &&
	       b->at == at && b->len <= sizeof(b->data) && b->sum == block_sum(b);
}

/*
 * How many blocks count: whole groups from the start. What is torn is what was being written when
 * power went; a group after it was written after it was whole, so then the log is damaged.
 */
static int extent_of_log(struct store *st, struct store_log_block *b, uint32_t *count)
{
	uint32_t group = 0, good = 0, bad = UINT32_MAX;

	for (uint32_t at = 0; at < st->super.log_blocks; at++) {
		int err = st->port.read(st->port.ctx, half_start(st) + at, b, 1);

		if (bad != UINT32_MAX && at - bad > LOOK_AHEAD)
			break;
		if (!err && block_valid(st, b, at)) {
			if (b->flags >> 1 != (group & 0x7fff))
				return store_fail(st, -RAY_EIO, "block %llu of the log is damaged",
						  (unsigned long long)half_start(st) + MIN(bad, at));
			if (bad == UINT32_MAX && b->flags & STORE_LOG_COMMIT) {
				good = at + 1;
				group++;
			}
		} else if (bad == UINT32_MAX) {
			bad = at;
		}
	}
	*count = good;
	st->log.written = good;
	st->log.groups = group;
	return 0;
}

static int block_replay(struct store *st, const struct store_log_block *b,
			int (*each)(struct store *st, struct op *op))
{
	struct log_state s = {0, 0};
	uint32_t sums[STORE_IO_BLOCKS];
	size_t at = 0;
	int err = 0;

	while (at < b->len && !err) {
		struct op op;
		size_t len = log_decode(b->data + at, b->len - at, &s, &op, sums);

		if (len == 0)
			return store_fail(st, -RAY_EIO, "block %u of the log has nonsense at byte %zu",
					  b->at, at);
		at += len;
		err = each(st, &op);
	}
	return err;
}

int log_replay(struct store *st, int (*each)(struct store *st, struct op *op))
{
	struct store_log_block *b = kmalloc(sizeof(*b), MEM_STORE);
	uint32_t count = st->log.written;
	int err = b ? 0 : -RAY_ENOMEM;

	if (!err && count == 0)
		err = extent_of_log(st, b, &count);
	for (uint32_t at = 0; at < count && !err; at++) {
		err = st->port.read(st->port.ctx, half_start(st) + at, b, 1);
		if (!err && !block_valid(st, b, at))
			err = -RAY_EIO;
		if (err)
			store_fail(st, err, "block %u of the log cannot be read", at);
		else
			err = block_replay(st, b, each);
	}
	kfree(b);
	return err;
}
