/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions: devices of their own that forward to their disk. */
#include <string.h>

#include "kernel/block/block_priv.h"
#include "kernel/block/gpt.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#define LOG_TAG "block"
#include "kernel/log.h"
#include "kernel/mm/heap.h"

static int read_blocks(void *ctx, uint64_t block, void *buf, uint32_t count)
{
	struct block_dev *dev = ctx;

	return block_read(dev, block * dev->limits.logical, buf,
			  (uint64_t)count * dev->limits.logical);
}

int block_table_read(struct block_dev *dev, struct gpt *out, char *why, size_t why_len)
{
	const struct gpt_source source = {.ctx = dev, .logical = dev->limits.logical,
					  .blocks = dev->ident.size / dev->limits.logical,
					  .read = read_blocks};
	void *buf = kmalloc(GPT_SCRATCH, MEM_BLOCK);
	int err;

	if (!buf) {
		ray_snprintf(why, why_len, "%s", ray_strerror(-RAY_ENOMEM));
		return -RAY_ENOMEM;
	}
	err = gpt_read(&source, out, buf, why, why_len);
	kfree(buf);
	return err;
}

static int write_blocks(void *ctx, uint64_t block, const void *buf, uint32_t count)
{
	struct block_dev *dev = ctx;

	return block_write(dev, block * dev->limits.logical, buf,
			   (uint64_t)count * dev->limits.logical, 0);
}

static int flush_blocks(void *ctx)
{
	return block_flush(ctx);
}

struct gpt_source block_table_source(struct block_dev *dev)
{
	return (struct gpt_source){.ctx = dev, .logical = dev->limits.logical,
				   .blocks = dev->ident.size / dev->limits.logical,
				   .read = read_blocks, .write = write_blocks,
				   .flush = flush_blocks};
}

int block_table_write(struct block_dev *dev, const struct gpt *table)
{
	const struct gpt_source source = block_table_source(dev);
	void *buf = kmalloc(GPT_SCRATCH, MEM_BLOCK);
	int err = buf ? gpt_write(&source, table, buf) : -RAY_ENOMEM;

	kfree(buf);
	return err;
}

int block_table_repair(struct block_dev *dev, char *what, size_t what_len)
{
	const struct gpt_source source = block_table_source(dev);
	struct gpt *scratch = kmalloc(sizeof(*scratch), MEM_BLOCK);
	void *buf = kmalloc(GPT_SCRATCH, MEM_BLOCK);
	int err = -RAY_ENOMEM;

	ray_snprintf(what, what_len, "%s", ray_strerror(err));
	if (scratch && buf)
		err = gpt_repair(&source, scratch, buf, what, what_len);
	kfree(scratch);
	kfree(buf);
	return err;
}

static struct block_dev *part_create(struct block_dev *whole, const struct gpt_part *p)
{
	struct block_dev *dev = kzalloc(sizeof(*dev), MEM_BLOCK);
	const char *name = whole->ident.name;
	char last = name[strlen(name) - 1];

	if (!dev)
		return NULL;
	dev->ident = whole->ident;
	ray_snprintf(dev->ident.name, sizeof(dev->ident.name), "%.16s%s%u", name,
		     last >= '0' && last <= '9' ? "p" : "", p->number);
	dev->ident.size = p->blocks * whole->limits.logical;
	dev->ident.type = gpt_type_name(&p->type);
	dev->limits = whole->limits;
	dev->queue = whole->queue;
	dev->whole = whole;
	dev->first = p->first * whole->limits.logical;
	dev->part = p->number;
	block_ref(whole);
	return dev;
}

void block_parts_scan(struct block_dev *whole)
{
	struct gpt *gpt = kmalloc(sizeof(*gpt), MEM_BLOCK);
	char why[96];
	int err = gpt ? block_table_read(whole, gpt, why, sizeof(why)) : -RAY_ENOMEM;

	if (err && err != -RAY_ENOENT)
		log_warn("partitions not found: %s disk=%s",
			 err == -RAY_ENOEXEC ? why : ray_strerror(err), whole->ident.name);
	else if (!err && gpt->damage[0])
		log_warn("partition table is damaged, %s is used: %s disk=%s",
			 gpt->backup ? "the backup" : "the primary", gpt->damage,
			 whole->ident.name);
	for (unsigned int i = 0; !err && i < gpt->count; i++) {
		struct block_dev *dev = part_create(whole, &gpt->part[i]);

		if (dev) {
			block_register(dev);
			block_tree_enter(dev, &whole->dev);
			continue;
		}
		log_warn("partition left out: %s disk=%s number=%u", ray_strerror(-RAY_ENOMEM),
			 whole->ident.name, gpt->part[i].number);
	}
	kfree(gpt);
}
