/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults on demand: commands that fail, or that no answer comes to, without the device being
 * asked. What is to be tested is everything above: the layer's own repeats and resets, the
 * store, guests. A queue without faults has one test of a number more.
 */
#include <string.h>

#include "kernel/block/block_priv.h"
#include "kernel/lib/err.h"

static bool matches(const struct block_fault *f, const struct block_cmd *c)
{
	if (f->left == 0 || !(f->ops & BIT(c->op)))
		return false;
	return c->op == BLOCK_FLUSH || (c->off < f->off + f->len && f->off < c->off + c->len);
}

enum block_fault_kind block_fault_take(struct block_queue *q, const struct block_cmd *c)
{
	for (unsigned int i = 0; i < BLOCK_FAULTS_MAX; i++) {
		struct block_fault *f = &q->fault[i];

		if (!matches(f, c))
			continue;
		f->hits++;
		if (f->left != BLOCK_FAULT_ALWAYS && --f->left == 0)
			q->fault_count--;
		return f->kind;
	}
	return BLOCK_FAULT_NONE;
}

/* The next command that a fault has; one that is silent only when @silent. */
static struct block_cmd *held_next(struct block_queue *q, bool silent)
{
	uint64_t flags = spin_lock_irqsave(&q->lock);
	struct block_cmd *c, *found = NULL;

	list_for_each_entry(c, &q->flying, node) {
		if (c->fault == BLOCK_FAULT_ERROR || (silent && c->fault == BLOCK_FAULT_SILENT)) {
			found = c;
			c->fault = BLOCK_FAULT_NONE;
			break;
		}
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return found;
}

void block_fault_end(struct block_queue *q, bool silent, int err)
{
	struct block_cmd *c;

	while ((c = held_next(q, silent)) != NULL)
		block_cmd_done(c, err);
}

int block_fault_add(struct block_dev *dev, const struct block_fault *fault)
{
	struct block_queue *q = dev->queue;
	uint64_t flags;
	int err = -RAY_ENOSPC;

	if (fault->len == 0 || fault->off > dev->ident.size ||
	    fault->len > dev->ident.size - fault->off || fault->left == 0)
		return -RAY_ERANGE;
	flags = spin_lock_irqsave(&q->lock);
	for (unsigned int i = 0; i < BLOCK_FAULTS_MAX && err; i++) {
		struct block_fault *f = &q->fault[i];

		if (f->left > 0)
			continue;
		*f = *fault;
		f->off += dev->first; /* from where the disk begins */
		f->hits = 0;
		q->fault_count++;
		err = 0;
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return err;
}

void block_fault_clear(struct block_dev *dev)
{
	struct block_queue *q = dev->queue;
	uint64_t flags = spin_lock_irqsave(&q->lock);

	memset(q->fault, 0, sizeof(q->fault));
	q->fault_count = 0;
	spin_unlock_irqrestore(&q->lock, flags);
}

unsigned int block_fault_list(struct block_dev *dev, struct block_fault out[BLOCK_FAULTS_MAX])
{
	struct block_queue *q = dev->queue;
	uint64_t flags = spin_lock_irqsave(&q->lock);
	unsigned int n = 0;

	for (unsigned int i = 0; i < BLOCK_FAULTS_MAX; i++) {
		if (q->fault[i].left > 0)
			out[n++] = q->fault[i];
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return n;
}
