/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block device: what it is configured with, offers and keeps (virtio 1.2, 5.2.3 to 5.2.5).
 * Owns: the kind "disk", its options, the device's life. Must not know: requests.
 */
#include <string.h>

#include "devices/virt/virtio/blk_flight.h"
#include "kernel/module.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/parse.h"
#include "kernel/lib/sink.h"
#include "kernel/mm/heap.h"

#define QUEUES_DEFAULT 4u
#define SPACE_DEFAULT  GIB(10)

/* --- the device --- */

static void put(uint8_t *config, unsigned int off, unsigned int len, uint64_t v)
{
	for (unsigned int i = 0; i < len; i++)
		config[off + i] = (uint8_t)(v >> (8 * i));
}

static bool discards(const struct vblk_disk *disk)
{
	return !disk->read_only && disk->back->granule;
}

static uint64_t features(const struct vblk_disk *disk)
{
	uint64_t f = VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH |
		     VIRTIO_BLK_F_TOPOLOGY | VIRTIO_BLK_F_CONFIG_WCE | VIRTIO_BLK_F_MQ;

	if (disk->read_only)
		f |= VIRTIO_BLK_F_RO;
	if (discards(disk))
		f |= VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES;
	return f;
}

static void config_fill(uint8_t *c, const struct vblk_disk *disk)
{
	uint32_t granule = disk->back->granule / BLK_SECTOR;
	uint32_t sector = disk->back->sector, physical = disk->back->physical / sector;

	put(c, VBLK_CFG_CAPACITY, 8, disk->back->size / BLK_SECTOR);
	/* Header and status take two descriptors of a queue. */
	put(c, VBLK_CFG_SEG_MAX, 4, VBLK_QUEUE_SIZE - 2);
	put(c, VBLK_CFG_BLK_SIZE, 4, sector);
	put(c, VBLK_CFG_TOPOLOGY, 1, (uint64_t)__builtin_ctz(physical));
	put(c, VBLK_CFG_TOPOLOGY + 2, 2, physical);
	put(c, VBLK_CFG_TOPOLOGY + 4, 4, granule);
	put(c, VBLK_CFG_WRITEBACK, 1, 1);
	put(c, VBLK_CFG_NUM_QUEUES, 2, disk->queues);
	if (!discards(disk))
		return;
	put(c, VBLK_CFG_MAX_DISCARD, 4, VBLK_RANGE_SECTORS_MAX);
	put(c, VBLK_CFG_MAX_DISCARD_SEG, 4, VBLK_RANGES_MAX);
	put(c, VBLK_CFG_DISCARD_ALIGN, 4, granule);
	put(c, VBLK_CFG_MAX_ZEROES, 4, VBLK_RANGE_SECTORS_MAX);
	put(c, VBLK_CFG_MAX_ZEROES_SEG, 4, VBLK_RANGES_MAX);
	put(c, VBLK_CFG_ZEROES_MAY_UNMAP, 1, 1);
}

/* Of all the configuration only the cache's mode is the driver's, if it wanted it (5.2.5.2). */
static void blk_config_write(struct virtio_dev *d, unsigned int off, unsigned int len,
			     const uint8_t *bytes)
{
	if (off == VBLK_CFG_WRITEBACK && len == 1 && virtio_has(d, VIRTIO_BLK_F_CONFIG_WCE))
		d->config[VBLK_CFG_WRITEBACK] = bytes[0] & 1;
}

/* Nothing is under way, nor will be until the queues are on again. */
static void drain(struct virtio_dev *d, bool tell)
{
	for (unsigned int i = 0; i < d->queue_count; i++) {
		if (vblk_of(d)->flights[i])
			vblk_flights_drain(vblk_of(d)->flights[i], tell);
	}
}

static void blk_reset(struct virtio_dev *d)
{
	struct vblk *b = vblk_of(d);
	uint64_t flags = spin_lock_irqsave(&d->lock);

	d->config[VBLK_CFG_WRITEBACK] = 1;
	spin_unlock_irqrestore(&d->lock, flags);
	drain(d, false);
	for (unsigned int i = 0; i < d->queue_count; i++)
		b->req[i].admitted = false;
}

/* What the core saves of the configuration has to fit the disk that is there. A request under
 * way is begun again from its descriptors: it is still in the ring. */
static void blk_save(struct virtio_dev *d, struct state_buf *b)
{
	state_put_u64(b, vblk_of(d)->disk->back->size);
	for (unsigned int i = 0; i < d->queue_count; i++)
		vblk_flights_save(vblk_of(d)->flights[i], b);
}

static bool waiting_load(struct virtio_dev *d, struct state_buf *b, bool apply)
{
	bool good = true;

	for (unsigned int i = 0; good && i < d->queue_count; i++)
		good = vblk_flights_load(vblk_of(d)->flights[i], b, apply);
	return good;
}

static int blk_load(struct virtio_dev *d, struct state_buf *b, uint32_t version)
{
	struct vblk *blk = vblk_of(d);
	uint64_t size = state_get_u64(b);
	size_t waiting = b->pos;

	if (version != d->ops->state_version || b->bad || size != blk->disk->back->size ||
	    !waiting_load(d, b, false))
		return -RAY_EINVAL;
	b->pos = waiting;
	waiting_load(d, b, true);
	for (unsigned int i = 0; i < d->queue_count; i++)
		blk->req[i].admitted = false;
	return 0;
}

static void blk_quiesce(struct virtio_dev *d)
{
	drain(d, true);
}

static void blk_resume(struct virtio_dev *d)
{
	for (unsigned int i = 0; i < d->queue_count; i++) {
		if (vblk_of(d)->flights[i])
			vblk_flights_resume(vblk_of(d)->flights[i]);
	}
}

static void flights_destroy(struct vblk *b)
{
	for (unsigned int i = 0; i < VBLK_QUEUES_MAX; i++)
		vblk_flights_destroy(b->flights[i]);
}

static void blk_destroy(struct virtio_dev *d)
{
	flights_destroy(vblk_of(d));
	kfree(vblk_of(d));
}

static const struct virtio_ops blk_ops = {
	.name = "virtio-blk",
	.id = VIRTIO_ID_BLOCK,
	.pci_class = 0x0180, /* mass storage, other */
	.state_version = 2,
	.serve = vblk_serve,
	.config_write = blk_config_write,
	.reset = blk_reset,
	.quiesce = blk_quiesce,
	.resume = blk_resume,
	.save = blk_save,
	.load = blk_load,
	.destroy = blk_destroy,
};

static int flights_create(struct vblk *b)
{
	for (unsigned int i = 0; b->disk->back->ops->begin && i < b->v.queue_count; i++) {
		b->flights[i] = vblk_flights_create(b, &b->v.queue[i]);
		if (!b->flights[i])
			return -RAY_ENOMEM;
	}
	return 0;
}

static int blk_create(struct vattach *a, struct virtio_dev **out)
{
	struct vblk_disk *disk = a->back;
	const struct virtio_init init = {.ops = &blk_ops, .attach = a, .features = features(disk),
					 .config_size = VBLK_CFG_SIZE, .queues = disk->queues,
					 .queue_size = VBLK_QUEUE_SIZE};
	struct vblk *b = kzalloc(sizeof(*b), MEM_VDEV);
	int err;

	if (!b)
		return -RAY_ENOMEM;
	b->disk = disk;
	err = virtio_dev_init(&b->v, a->vm, &init);
	if (err) {
		kfree(b);
		return err;
	}
	config_fill(b->v.config, disk);
	err = flights_create(b);
	if (err) {
		virtio_dev_destroy(&b->v);
		return err;
	}
	*out = &b->v;
	return 0;
}

/* --- the kind: options and back end --- */

struct options {
	uint64_t ram;
	const char *module, *dev, *volume;
	const char *serial;
	bool read_only, cow, seed;
	uint64_t queues;
	struct quota_limits limits;
};

static int numbers_read(struct spec *s, struct options *o)
{
	int err = spec_size(s, "ram", &o->ram);

	if (!err)
		err = spec_u64(s, "queues", 1, VBLK_QUEUES_MAX, &o->queues);
	if (!err)
		err = spec_u64(s, "iops", 0, UINT64_MAX, &o->limits.ops_per_second);
	if (!err)
		err = spec_size(s, "rate", &o->limits.bytes_per_second);
	if (!err)
		err = spec_size(s, "burst", &o->limits.bytes_burst);
	if (!err)
		err = spec_size(s, "space", &o->limits.bytes_in_use);
	return err;
}

static int options_check(const struct spec *s, const struct options *o, bool ram)
{
	if (ram + (o->module != NULL) + (o->dev != NULL) + (o->volume != NULL) + o->seed != 1)
		return spec_fail(s, -RAY_EINVAL,
				 "one of ram=SIZE, module=NAME, dev=NAME, volume=NAME and seed says what is on it");
	if (ram && (o->ram == 0 || o->ram % BLK_SECTOR || o->ram > BLK_SIZE_MAX))
		return spec_fail(s, -RAY_EINVAL, "ram: a multiple of 512 bytes, at most 4T");
	if (o->cow && !o->module)
		return spec_fail(s, -RAY_EINVAL, "cow is for a module; no other disk has something below");
	if (o->cow && o->read_only)
		return spec_fail(s, -RAY_EINVAL, "ro and cow exclude each other");
	if (o->serial && (strlen(o->serial) > VBLK_ID_LEN || *o->serial == '\0'))
		return spec_fail(s, -RAY_EINVAL, "serial: 1 to 20 characters");
	return 0;
}

static int options_read(struct spec *s, struct options *o)
{
	int err;

	*o = (struct options){.limits.bytes_in_use = SPACE_DEFAULT};
	err = numbers_read(s, o);
	if (err)
		return err;
	o->module = spec_text(s, "module");
	o->dev = spec_text(s, "dev");
	o->volume = spec_text(s, "volume");
	o->serial = spec_text(s, "serial");
	o->read_only = spec_flag(s, "ro");
	o->cow = spec_flag(s, "cow");
	o->seed = spec_flag(s, "seed");
	return options_check(s, o, spec_text(s, "ram") != NULL);
}

static int back_create(struct vattach *a, const struct options *o, struct blk_back **out,
		       char why[STORE_WHY_LEN])
{
	struct blk_thin_init init = {.name = "ram", .size = o->ram, .quota = &a->handler.quota};
	int err;

	if (o->dev)
		return blk_dev_create(o->dev, out);
	if (o->volume)
		return blk_volume_create(o->volume, o->read_only, out, why);
	if (o->seed)
		return blk_seed_create(&a->vm->def, out);
	if (!o->module)
		return blk_thin_create(&init, out);
	err = module_find(o->module, &init.base, &init.base_size);
	if (err)
		return err;
	if (init.base_size == 0)
		return -RAY_EINVAL;
	if (o->read_only)
		return blk_image_create("module", init.base, init.base_size, false, out);
	init.name = "overlay";
	init.size = ALIGN_UP(init.base_size, (uint64_t)BLK_SECTOR);
	return blk_thin_create(&init, out);
}

static int back_refused(const struct spec *s, const struct options *o, int err, const char *why)
{
	if (o->volume)
		return spec_fail(s, err, "volume: %s", why);
	if (err == -RAY_ENOENT && o->dev)
		return spec_fail(s, err, "no disk is named '%s'; see `disk list`", o->dev);
	if (err == -RAY_ENOENT)
		return spec_fail(s, err, "no boot module is named '%s'", o->module);
	if (err == -RAY_EBUSY)
		return spec_fail(s, err, "'%s' is in use; see `disk list`", o->dev);
	if (err == -RAY_EINVAL)
		return spec_fail(s, err, "module '%s' is empty", o->module);
	return err;
}

static int disk_open(struct vattach *a, const struct spec *s, const struct options *o)
{
	struct vblk_disk *disk = kzalloc(sizeof(*disk), MEM_VDEV);
	char why[STORE_WHY_LEN] = "out of memory";
	int err = -RAY_ENOMEM;

	if (disk)
		err = back_create(a, o, &disk->back, why);
	if (err) {
		kfree(disk);
		return back_refused(s, o, err, why);
	}
	disk->read_only = o->read_only || disk->back->read_only;
	disk->queues = o->queues ? (unsigned int)o->queues : MIN(a->vm->def.vcpus, QUEUES_DEFAULT);
	strlcpy(disk->serial, o->serial ? o->serial : a->name, sizeof(disk->serial));
	vhandler_limit(&a->handler, &o->limits);
	a->back = disk;
	return 0;
}

static int blk_open(struct vattach *a, struct spec *s)
{
	struct options o;
	int err = options_read(s, &o);

	return err || !a ? err : disk_open(a, s, &o);
}

static void blk_close(struct vattach *a)
{
	struct vblk_disk *disk = a->back;

	disk->back->ops->close(disk->back);
	kfree(disk);
}

static void blk_describe(struct vattach *a, char *buf, size_t len)
{
	const struct vblk_disk *disk = a->back;
	struct buf_sink b;

	buf_sink_init(&b, buf, len);
	format_size(&b.sink, disk->back->size);
	sink_printf(&b.sink, " %s%s serial=%s queues=%u", disk->back->name,
		    disk->read_only ? ", read-only" : "", disk->serial, disk->queues);
}

static const struct vhandler_verb_name blk_verbs[] = {
	{"read", POLICY_READ}, {"write", POLICY_WRITE}, {"flush", POLICY_FLUSH},
	{"discard", POLICY_DISCARD}, {"write-zeroes", POLICY_WRITE_ZEROES}, {0}};

static const struct vkind vkind_disk = {
	.name = "disk",
	.summary = "block device on memory, a boot module, a disk of the host, a volume or what a cloud image asks for",
	.options = "ram=SIZE, module=NAME, dev=NAME, volume=NAME or seed, ro, cow (a module's default), serial=TEXT, queues=N, "
		   "iops=N, rate=BYTES a second, burst=BYTES, space=BYTES (10G)",
	.example = "ram=64M",
	.policy = POLICY_BLK,
	.verbs = blk_verbs,
	.open = blk_open,
	.close = blk_close,
	.create = blk_create,
	.describe = blk_describe,
};
VKIND(disk);
