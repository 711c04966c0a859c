/* SPDX-License-Identifier: Apache-2.0 */
/* Disks and partitions among the host's devices. */
#include "kernel/block/block_priv.h"
#include "kernel/lib/fmt.h"

static void attrs(const struct device *d, struct device_attrs *a)
{
	const struct block_dev *b = container_of(d, struct block_dev, dev);

	device_attr_u64(a, "size", b->ident.size);
	device_attr_u64(a, "block", b->limits.logical);
	device_attr_bool(a, "read_only", b->limits.read_only);
	if (b->whole) {
		device_attr_u64(a, "offset", b->first);
		device_attr_str(a, "type", b->ident.type ? b->ident.type : "");
		return;
	}
	device_attr_str(a, "model", b->ident.model);
	device_attr_str(a, "serial", b->ident.serial);
	device_attr_str(a, "firmware", b->ident.firmware);
}

static bool suspends(const struct device *d)
{
	return container_of(d, struct block_dev, dev)->whole == NULL;
}

static int suspend(struct device *d)
{
	return block_suspend(container_of(d, struct block_dev, dev));
}

static int resume(struct device *d)
{
	block_resume(container_of(d, struct block_dev, dev));
	return 0;
}

static const struct device_bus bus = {
	.name = "block", .suspends = suspends, .suspend = suspend, .resume = resume};

void block_tree_enter(struct block_dev *dev, struct device *parent)
{
	dev->dev.cls = DEVICE_BLOCK;
	dev->dev.state = DEVICE_ACTIVE;
	dev->dev.attrs = attrs;
	dev->dev.bus = &bus;
	ray_snprintf(dev->dev.name, sizeof(dev->dev.name), "%s", dev->ident.name);
	device_add(&dev->dev, parent);
}

void block_tree_leave(struct block_dev *dev)
{
	device_remove(&dev->dev);
}
