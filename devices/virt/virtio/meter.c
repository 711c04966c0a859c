/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The opt-in measuring device: it has nothing to do, and answers each notify of its queue with
 * the queue's interrupt. `make bench` measures with it what the way there and back costs.
 * Owns: nothing. Must not know: what is in the ring, which it never looks at.
 */
#include "devices/virt/attach.h"
#include "devices/virt/virtio/virtio.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

static enum virtq_result meter_serve(struct virtio_dev *d, struct virtq *q, bool fast)
{
	(void)d;
	(void)fast;
	virtq_interrupt(q);
	return VIRTQ_IDLE;
}

static void meter_destroy(struct virtio_dev *d)
{
	kfree(d);
}

static const struct virtio_ops meter_ops = {
	.name = "virtio-meter",
	.id = VIRTIO_ID_METER,
	.pci_class = 0xff00, /* none of the classes */
	.state_version = 1,
	.serve = meter_serve,
	.destroy = meter_destroy,
};

static int meter_open(struct vattach *a, struct spec *s)
{
	(void)a;
	(void)s;
	return 0;
}

static void meter_close(struct vattach *a)
{
	(void)a;
}

static int meter_create(struct vattach *a, struct virtio_dev **out)
{
	const struct virtio_init init = {.ops = &meter_ops, .attach = a, .queues = 1};
	struct virtio_dev *d = kzalloc(sizeof(*d), MEM_VDEV);
	int err = d ? virtio_dev_init(d, a->vm, &init) : -RAY_ENOMEM;

	if (err) {
		kfree(d);
		return err;
	}
	*out = d;
	return 0;
}

static const struct vhandler_verb_name meter_verbs[] = {{0}};

static const struct vkind vkind_meter = {
	.name = "meter",
	.summary = "measuring device: an interrupt for each notify",
	.options = "none",
	.example = "",
	.policy = POLICY_METER,
	.single = true,
	.verbs = meter_verbs,
	.open = meter_open,
	.close = meter_close,
	.create = meter_create,
};
VKIND(meter);
