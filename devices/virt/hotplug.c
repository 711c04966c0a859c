/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots of the guest's PCI bus whose cards come and go, as dsdt.asl drives them: general-purpose
 * event 1 says that a bit below is set, _EJ0 writes the slot's bit to let go of its device.
 *
 *	+0 changed  slots to look at, bit 0: the whole bus; written bits are cleared
 *	+4 wanted   slots the operator wants back; written bits are cleared
 *	+8 eject    write: these slots' devices may go
 *
 * Owns: those bits, and the thread that takes away what guests let go: that needs the VM's lock,
 * which no vCPU may wait for. Must not know: what is in a slot.
 * Locking: hotplug->lock; vm->lock around what the thread does.
 */
#include "devices/virt/hotplug.h"

#include "devices/virt/attach.h"
#include "devices/virt/pci.h"
#include "devices/virt/virt.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"

#define REG_CHANGED 0u
#define REG_WANTED  4u
#define REG_EJECT   8u
#define BLOCK_LEN   12u

struct vhotplug {
	struct vdev dev;
	struct gbus_range port;
	struct spinlock lock;
	uint32_t changed, wanted;
	uint32_t ejected; /* for the thread */
};

static struct waitq eject_wait;
static volatile uint32_t eject_work;

static void ejector_wake(void)
{
	__atomic_store_n(&eject_work, 1, __ATOMIC_SEQ_CST);
	waitq_wake_all(&eject_wait);
}

/* --- the guest's side --- */

static void block_write(struct vhotplug *h, uint32_t off, uint32_t value)
{
	if (off == REG_CHANGED)
		h->changed &= ~value;
	else if (off == REG_WANTED)
		h->wanted &= ~value;
	else
		h->ejected |= value;
}

static bool block_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	struct vhotplug *h = container_of(r, struct vhotplug, port);
	uint64_t flags;
	bool eject;

	(void)vcpu;
	(void)fast;
	if (a->size != 4 || a->offset % 4) {
		a->data = 0; /* its fields are double words */
		return true;
	}
	flags = spin_lock_irqsave(&h->lock);
	if (a->write)
		block_write(h, a->offset, (uint32_t)a->data);
	else
		a->data = a->offset == REG_CHANGED ? h->changed :
			  a->offset == REG_WANTED  ? h->wanted : 0;
	eject = h->ejected != 0;
	spin_unlock_irqrestore(&h->lock, flags);
	if (eject)
		ejector_wake();
	return true;
}

/* --- the host's side --- */

static void tell(struct vm *vm, uint32_t *bits, unsigned int slot)
{
	struct vhotplug *h = vm->platform->hotplug;
	uint64_t flags = spin_lock_irqsave(&h->lock);

	*bits |= 1u << slot;
	spin_unlock_irqrestore(&h->lock, flags);
	vpm_gpe_raise(vm, VIRT_GPE_HOTPLUG);
}

void vhotplug_plugged(struct vm *vm, unsigned int slot)
{
	tell(vm, &vm->platform->hotplug->changed, slot);
}

void vhotplug_pulled(struct vm *vm)
{
	tell(vm, &vm->platform->hotplug->changed, 0);
}

bool vhotplug_want(struct vm *vm, unsigned int slot)
{
	if (!vpm_gpe_enabled(vm, VIRT_GPE_HOTPLUG))
		return false;
	tell(vm, &vm->platform->hotplug->wanted, slot);
	return true;
}

static uint32_t ejected_take(struct vhotplug *h)
{
	uint64_t flags = spin_lock_irqsave(&h->lock);
	uint32_t slots = h->ejected;

	h->ejected = 0;
	spin_unlock_irqrestore(&h->lock, flags);
	return slots;
}

void vhotplug_eject(struct vm *vm)
{
	mutex_lock(&vm->lock);
	if (vm->platform && vm->platform->hotplug)
		vattach_remove_slots(vm, ejected_take(vm->platform->hotplug));
	mutex_unlock(&vm->lock);
}

static int find_ejected(struct vm *vm, void *ctx)
{
	struct vm **out = ctx;
	bool some;

	mutex_lock(&vm->lock);
	some = vm->platform && vm->platform->hotplug && vm->platform->hotplug->ejected;
	mutex_unlock(&vm->lock);
	if (!some)
		return 0;
	__atomic_add_fetch(&vm->refs, 1, __ATOMIC_RELAXED);
	*out = vm;
	return 1;
}

static void ejector(void *arg)
{
	(void)arg;
	for (;;) {
		struct vm *vm = NULL;

		wait_event(&eject_wait, eject_work != 0, UINT64_MAX);
		__atomic_store_n(&eject_work, 0, __ATOMIC_SEQ_CST);
		while (vm_for_each(find_ejected, &vm)) {
			vhotplug_eject(vm);
			vm_put(vm);
		}
	}
}

int vhotplug_init(void)
{
	struct thread_attr attr = {.cls = THREAD_CLASS_WORKER, .cpu = -1};
	struct thread *t;
	int err;

	waitq_init(&eject_wait);
	err = thread_create(&t, "vm-ejector", ejector, NULL, &attr);
	if (!err)
		thread_detach(t);
	return err;
}

/* --- device --- */

static struct vhotplug *hotplug_of(struct vdev *d)
{
	return container_of(d, struct vhotplug, dev);
}

static void hotplug_reset(struct vdev *d)
{
	struct vhotplug *h = hotplug_of(d);
	uint64_t flags = spin_lock_irqsave(&h->lock);

	h->changed = h->wanted = h->ejected = 0;
	spin_unlock_irqrestore(&h->lock, flags);
}

/* What was let go while the VM stood still: the thread comes to it when it has the lock. */
static void hotplug_resume(struct vdev *d)
{
	if (hotplug_of(d)->ejected)
		ejector_wake();
}

static void hotplug_save(struct vdev *d, struct state_buf *b)
{
	const struct vhotplug *h = hotplug_of(d);

	state_put_u32(b, h->changed);
	state_put_u32(b, h->wanted);
	state_put_u32(b, h->ejected);
}

static int hotplug_load(struct vdev *d, struct state_buf *b, uint32_t version)
{
	struct vhotplug *h = hotplug_of(d);
	uint32_t changed = state_get_u32(b), wanted = state_get_u32(b), ejected = state_get_u32(b);
	uint64_t flags;

	if (version != d->ops->state_version || b->bad)
		return -RAY_EINVAL;
	flags = spin_lock_irqsave(&h->lock);
	h->changed = changed;
	h->wanted = wanted;
	h->ejected = ejected;
	spin_unlock_irqrestore(&h->lock, flags);
	return 0;
}

static void hotplug_destroy(struct vdev *d)
{
	struct vhotplug *h = hotplug_of(d);

	vdev_ports_del(d->vm, &h->port, 1);
	list_del(&d->node);
	d->vm->platform->hotplug = NULL;
	kfree(h);
}

static const struct vdev_ops hotplug_ops = {
	.name = "pci-hotplug",
	.state_version = 1,
	.quiesce = vdev_nop,
	.resume = hotplug_resume,
	.save = hotplug_save,
	.load = hotplug_load,
	.reset = hotplug_reset,
	.destroy = hotplug_destroy,
};

int vhotplug_create(struct vm *vm)
{
	struct vhotplug *h = kzalloc(sizeof(*h), MEM_VDEV);
	int err;

	if (!h)
		return -RAY_ENOMEM;
	spin_lock_init(&h->lock, LOCK_ORDER_VDEV);
	h->port = (struct gbus_range){.base = VIRT_PORT_HOTPLUG, .len = BLOCK_LEN,
				      .fn = block_access, .name = "pci-hotplug"};
	err = vdev_ports_add(vm, &h->port, 1);
	if (err) {
		kfree(h);
		return err;
	}
	vm->platform->hotplug = h;
	vdev_register(vm, &h->dev, &hotplug_ops, 0);
	return 0;
}
