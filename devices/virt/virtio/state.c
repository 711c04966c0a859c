/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio device as one of the VM's devices: quiesce, resume, save, load, reset, destroy. */
#include <string.h>

#include "devices/virt/virtio/virtio_priv.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

#define CORE_VERSION 1u

#define STATUS_ALL (VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_DRIVER_OK | \
		    VIRTIO_S_FEATURES_OK | VIRTIO_S_NEEDS_RESET | VIRTIO_S_FAILED)

static struct virtio_dev *virtio_of(struct vdev *v)
{
	return container_of(v, struct virtio_dev, dev);
}

static void virtio_quiesce(struct vdev *v)
{
	struct virtio_dev *d = virtio_of(v);

	d->quiesced = true;
	virtio_queues_off(d);
	if (d->ops->quiesce)
		d->ops->quiesce(d);
}

static void virtio_resume(struct vdev *v)
{
	struct virtio_dev *d = virtio_of(v);

	d->quiesced = false;
	if (d->ops->resume)
		d->ops->resume(d);
	virtio_queues_on(d);
}

/* --- record --- */

static bool vector_sane(const struct virtio_dev *d, uint16_t vector)
{
	return vector == VIRTIO_NO_VECTOR || vector < d->msix.count;
}

void virtq_save(const struct virtq *q, struct state_buf *b)
{
	state_put_u64(b, q->desc);
	state_put_u64(b, q->avail);
	state_put_u64(b, q->used);
	state_put_u16(b, q->size);
	state_put_u16(b, q->vector);
	state_put_u16(b, q->last_avail);
	state_put_u16(b, q->used_idx);
	state_put_u8(b, q->wanted);
}

int virtq_decode(const struct virtq *q, struct state_buf *b, struct virtq_saved *s)
{
	s->desc = state_get_u64(b);
	s->avail = state_get_u64(b);
	s->used = state_get_u64(b);
	s->size = state_get_u16(b);
	s->vector = state_get_u16(b);
	s->last_avail = state_get_u16(b);
	s->used_idx = state_get_u16(b);
	s->wanted = state_get_u8(b) != 0;
	if (b->bad || s->size == 0 || s->size > q->size_max || (s->size & (s->size - 1)) ||
	    !vector_sane(q->dev, s->vector))
		return -RAY_EINVAL;
	return 0;
}

void virtq_apply(struct virtq *q, const struct virtq_saved *s)
{
	q->desc = s->desc;
	q->avail = s->avail;
	q->used = s->used;
	q->size = s->size;
	q->vector = s->vector;
	q->last_avail = s->last_avail;
	q->used_idx = q->used_told = q->signalled = s->used_idx;
	q->wanted = s->wanted;
}

static void virtio_save(struct vdev *v, struct state_buf *b)
{
	struct virtio_dev *d = virtio_of(v);

	state_put_u32(b, CORE_VERSION);
	state_put_u32(b, d->ops->state_version);
	vpci_dev_save(&d->pci, b);
	state_put_u64(b, d->features);
	state_put_u64(b, d->driver_features);
	state_put_u32(b, d->feature_select);
	state_put_u32(b, d->driver_feature_select);
	state_put_u8(b, d->status);
	state_put_u8(b, d->isr);
	state_put_u8(b, d->generation);
	state_put_u8(b, d->broken);
	state_put_u16(b, d->queue_select);
	state_put_u16(b, d->config_vector);
	state_put(b, d->config, d->config_size);
	virtio_msix_save(d, b);
	for (unsigned int i = 0; i < d->queue_count; i++)
		virtq_save(&d->queue[i], b);
	if (d->ops->save)
		d->ops->save(d, b);
}

/* A record as read: what apply() makes of it cannot fail. */
struct saved {
	uint32_t version;
	uint8_t cfg[VPCI_CONFIG_SIZE];
	uint8_t config[VIRTIO_CONFIG_MAX];
	uint64_t features, driver_features;
	uint32_t feature_select, driver_feature_select;
	uint16_t queue_select, config_vector;
	uint8_t status, isr, generation, broken;
	struct virtio_msix msix;
	struct virtq_saved queue[VIRTIO_QUEUES_MAX];
};

static bool sane(const struct virtio_dev *d, const struct saved *s)
{
	if ((s->status & ~STATUS_ALL) || (s->features & ~d->offered) ||
	    !vector_sane(d, s->config_vector))
		return false;
	return !(s->status & VIRTIO_S_DRIVER_OK) || (s->features & VIRTIO_F_VERSION_1);
}

static int decode(const struct virtio_dev *d, struct state_buf *b, struct saved *s)
{
	uint32_t core = state_get_u32(b);

	s->version = state_get_u32(b);
	if (b->bad || core != CORE_VERSION || vpci_dev_decode(&d->pci, b, s->cfg))
		return -RAY_EINVAL;
	s->features = state_get_u64(b);
	s->driver_features = state_get_u64(b);
	s->feature_select = state_get_u32(b);
	s->driver_feature_select = state_get_u32(b);
	s->status = state_get_u8(b);
	s->isr = state_get_u8(b);
	s->generation = state_get_u8(b);
	s->broken = state_get_u8(b);
	s->queue_select = state_get_u16(b);
	s->config_vector = state_get_u16(b);
	state_get(b, s->config, d->config_size);
	virtio_msix_decode(d, b, &s->msix);
	for (unsigned int i = 0; i < d->queue_count; i++) {
		if (virtq_decode(&d->queue[i], b, &s->queue[i]))
			return -RAY_EINVAL;
	}
	return b->bad || !sane(d, s) ? -RAY_EINVAL : 0;
}

static void apply(struct virtio_dev *d, const struct saved *s)
{
	d->features = s->features;
	d->driver_features = s->driver_features;
	d->feature_select = s->feature_select;
	d->driver_feature_select = s->driver_feature_select;
	d->status = s->status;
	d->isr = s->isr;
	d->generation = s->generation;
	d->broken = s->broken;
	if (d->broken && !d->broken_why)
		d->broken_why = "broken before it was loaded";
	d->queue_select = s->queue_select;
	d->config_vector = s->config_vector;
	memcpy(d->config, s->config, d->config_size);
	d->msix = s->msix;
	for (unsigned int i = 0; i < d->queue_count; i++)
		virtq_apply(&d->queue[i], &s->queue[i]);
	vpci_dev_apply(&d->pci, s->cfg);
	virtio_msix_config(d);
}

static int virtio_load(struct vdev *v, struct state_buf *b, uint32_t version)
{
	struct virtio_dev *d = virtio_of(v);
	struct saved *s;
	int err;

	if (version != v->ops->state_version)
		return -RAY_EINVAL;
	s = kzalloc(sizeof(*s), MEM_VDEV);
	if (!s)
		return -RAY_ENOMEM;
	err = decode(d, b, s);
	/* The device's own part is the last that can fail. */
	if (!err && d->ops->load)
		err = d->ops->load(d, b, s->version);
	if (!err)
		apply(d, s);
	kfree(s);
	return err;
}

static void virtio_reset(struct vdev *v)
{
	struct virtio_dev *d = virtio_of(v);

	virtio_dev_reset(d);
	virtio_msix_reset(d);
	vpci_dev_reset(&d->pci);
}

static void virtio_destroy(struct vdev *v)
{
	virtio_dev_destroy(virtio_of(v));
}

const struct vdev_ops virtio_vdev_ops = {
	.name = "virtio",
	.state_version = 1,
	.quiesce = virtio_quiesce,
	.resume = virtio_resume,
	.save = virtio_save,
	.load = virtio_load,
	.reset = virtio_reset,
	.destroy = virtio_destroy,
};
