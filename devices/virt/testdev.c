/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The opt-in measuring device: OUT to 0x520 and MMIO writes at 0xD0001000 are counted (reads
 * give the count), OUT to 0x530 raises an MSI with vector 0x40 at APIC ID 0.
 * Locking: none; the counters are atomic.
 */
#include "devices/virt/virt.h"

#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

#define PORT_COUNT  0x520u
#define PORT_MSI    0x530u
#define MSI_ADDRESS 0xfee00000ull
#define MSI_VECTOR  0x40u

struct vtestdev {
	struct vdev dev;
	struct gbus_range port[2];
	struct gbus_range mmio;
	uint64_t outs, writes;
};

static bool count_access(uint64_t *count, struct gbus_access *a)
{
	if (likely(a->write))
		__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	else
		a->data = __atomic_load_n(count, __ATOMIC_RELAXED);
	return true;
}

static bool port_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	(void)vcpu;
	(void)fast;
	return count_access(&container_of(r, struct vtestdev, port[0])->outs, a);
}

static bool mmio_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	(void)vcpu;
	(void)fast;
	return count_access(&container_of(r, struct vtestdev, mmio)->writes, a);
}

static bool msi_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	(void)r;
	(void)fast;
	if (a->write)
		virq_msi_send(vcpu->vm, MSI_ADDRESS, MSI_VECTOR);
	else
		a->data = 0;
	return true;
}

static struct vtestdev *vtestdev_of(struct vdev *d)
{
	return container_of(d, struct vtestdev, dev);
}

static void vtestdev_reset(struct vdev *d)
{
	struct vtestdev *t = vtestdev_of(d);

	t->outs = t->writes = 0;
}

static void vtestdev_save(struct vdev *d, struct state_buf *b)
{
	state_put_u64(b, vtestdev_of(d)->outs);
	state_put_u64(b, vtestdev_of(d)->writes);
}

static int vtestdev_load(struct vdev *d, struct state_buf *b, uint32_t version)
{
	uint64_t outs = state_get_u64(b), writes = state_get_u64(b);

	if (version != d->ops->state_version || b->bad)
		return -RAY_EINVAL;
	vtestdev_of(d)->outs = outs;
	vtestdev_of(d)->writes = writes;
	return 0;
}

static void vtestdev_destroy(struct vdev *d)
{
	struct vtestdev *t = vtestdev_of(d);

	gbus_mmio_del(&d->vm->bus, &t->mmio);
	vdev_ports_del(d->vm, t->port, ARRAY_SIZE(t->port));
	list_del(&d->node);
	kfree(t);
}

static const struct vdev_ops vtestdev_ops = {
	.name = "testdev",
	.state_version = 1,
	.quiesce = vdev_nop,
	.resume = vdev_nop,
	.save = vtestdev_save,
	.load = vtestdev_load,
	.reset = vtestdev_reset,
	.destroy = vtestdev_destroy,
};

int vtestdev_create(struct vm *vm)
{
	struct vtestdev *t = kzalloc(sizeof(*t), MEM_VDEV);
	int err;

	if (!t)
		return -RAY_ENOMEM;
	t->port[0] = (struct gbus_range){.base = PORT_COUNT, .len = 4, .fn = port_access,
					 .flags = GBUS_F_FAST, .name = "testdev"};
	t->port[1] = (struct gbus_range){.base = PORT_MSI, .len = 4, .fn = msi_access,
					 .flags = GBUS_F_FAST, .name = "testdev"};
	t->mmio = (struct gbus_range){.base = VIRT_TESTDEV_MMIO, .len = PAGE_SIZE,
				      .fn = mmio_access, .flags = GBUS_F_FAST, .name = "testdev"};
	err = vdev_ports_add(vm, t->port, ARRAY_SIZE(t->port));
	if (err)
		goto free;
	err = gbus_mmio_add(&vm->bus, &t->mmio);
	if (err)
		goto del_ports;
	vdev_register(vm, &t->dev, &vtestdev_ops, 0);
	return 0;

del_ports:
	vdev_ports_del(vm, t->port, ARRAY_SIZE(t->port));
free:
	kfree(t);
	return err;
}
