/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small ports of a PC: POST code at 0x80, exit with a code at 0xF4, the keyboard controller's
 * and port 0x92's ways to reset. None holds state.
 */
#include "devices/virt/virt.h"

#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

#define PORT_POST     0x80u
#define PORT_EXIT     0xf4u
#define PORT_KBD_DATA 0x60u
#define PORT_KBD      0x64u
#define PORT_A        0x92u
#define KBD_RESET     0xfeu /* pulse output line 0 low */
#define A_RESET       0x01u
#define A_A20         0x02u

struct vports {
	struct vdev dev;
	struct gbus_range port[5];
};

static bool post_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	(void)r;
	(void)vcpu;
	(void)fast;
	if (!a->write)
		a->data = 0;
	return true;
}

static bool exit_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	(void)r;
	(void)fast;
	if (a->write)
		vm_end(vcpu->vm, VM_END_EXIT, "exit code %u", (unsigned int)a->data);
	else
		a->data = 0;
	return true;
}

/* No keyboard controller: buffers empty, nothing typed; the FADT does not promise one. */
static bool kbd_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	(void)fast;
	if (!a->write)
		a->data = 0;
	else if (r->base == PORT_KBD && (uint8_t)a->data == KBD_RESET)
		vm_end(vcpu->vm, VM_END_RESET, "reset by the keyboard controller");
	return true;
}

static bool port_a_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	(void)r;
	(void)fast;
	if (!a->write)
		a->data = A_A20;
	else if (a->data & A_RESET)
		vm_end(vcpu->vm, VM_END_RESET, "reset by port 0x92");
	return true;
}

static void vports_save(struct vdev *d, struct state_buf *b)
{
	(void)d;
	(void)b;
}

static int vports_load(struct vdev *d, struct state_buf *b, uint32_t version)
{
	return version == d->ops->state_version && b->pos == b->len ? 0 : -RAY_EINVAL;
}

static void vports_destroy(struct vdev *d)
{
	struct vports *p = container_of(d, struct vports, dev);

	vdev_ports_del(d->vm, p->port, ARRAY_SIZE(p->port));
	list_del(&d->node);
	kfree(p);
}

static const struct vdev_ops vports_ops = {
	.name = "ports",
	.state_version = 1,
	.quiesce = vdev_nop,
	.resume = vdev_nop,
	.save = vports_save,
	.load = vports_load,
	.reset = vdev_nop,
	.destroy = vports_destroy,
};

int vports_create(struct vm *vm)
{
	static const struct gbus_range ranges[] = {
		{.base = PORT_POST, .len = 1, .fn = post_access, .flags = GBUS_F_FAST,
		 .name = "post"},
		{.base = PORT_EXIT, .len = 4, .fn = exit_access, .name = "exit"},
		{.base = PORT_KBD_DATA, .len = 1, .fn = kbd_access, .name = "i8042"},
		{.base = PORT_KBD, .len = 1, .fn = kbd_access, .name = "i8042"},
		{.base = PORT_A, .len = 1, .fn = port_a_access, .name = "port-a"},
	};
	struct vports *p = kzalloc(sizeof(*p), MEM_VDEV);
	int err;

	if (!p)
		return -RAY_ENOMEM;
	for (unsigned int i = 0; i < ARRAY_SIZE(ranges); i++)
		p->port[i] = ranges[i];
	err = vdev_ports_add(vm, p->port, ARRAY_SIZE(p->port));
	if (err) {
		kfree(p);
		return err;
	}
	vdev_register(vm, &p->dev, &vports_ops, 0);
	return 0;
}
