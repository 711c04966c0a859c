/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's disk on a block device of the host: a whole one or a partition.
 * Owns: the claim to it. Must not know: what kind of device it is.
 */
#include "devices/virt/back/blk_back.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

struct dev_back {
	struct blk_back back;
	struct block_dev *dev;
};

static void dev_begin(struct blk_back *b, struct block_req *io)
{
	block_submit(container_of(b, struct dev_back, back)->dev, io);
}

static void dev_close(struct blk_back *b)
{
	struct dev_back *d = container_of(b, struct dev_back, back);

	block_release(d->dev);
	block_put(d->dev);
	kfree(d);
}

static const struct blk_back_ops dev_ops = {
	.begin = dev_begin,
	.close = dev_close,
};

int blk_dev_create(const char *name, struct blk_back **out)
{
	struct block_dev *dev = block_get(name);
	const struct block_limits *limits;
	struct dev_back *d;
	int err;

	if (!dev)
		return -RAY_ENOENT;
	d = kzalloc(sizeof(*d), MEM_BLOCK);
	err = d ? block_claim(dev, "guest") : -RAY_ENOMEM;
	if (err) {
		kfree(d);
		block_put(dev);
		return err;
	}
	limits = block_limits(dev);
	d->dev = dev;
	d->back = (struct blk_back){.ops = &dev_ops, .name = block_ident(dev)->name,
				    .size = block_ident(dev)->size, .read_only = limits->read_only,
				    .sector = limits->logical, .physical = limits->physical,
				    .granule = limits->discard_granule};
	*out = &d->back;
	return 0;
}
