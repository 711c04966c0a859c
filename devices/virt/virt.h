/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the virtual devices share: the machine's fixed addresses and lines, the lock rule, and
 * each device's constructor. Only devices/virt includes this.
 *
 * Locking: one spinlock per device (order VDEV), IRQs off, held for a bounded time. A fast
 * access never waits for it. Timer callbacks take it, so timer_cancel() is called without it;
 * a callback that finds nothing due returns.
 */
#ifndef RAYOS_DEVICES_VIRT_VIRT_H
#define RAYOS_DEVICES_VIRT_VIRT_H

#include "hv/gbus.h"
#include "hv/vdev.h"
#include "hv/virq.h"
#include "hv/vm.h"
#include "kernel/lib/types.h"
#include "kernel/sched/spinlock.h"

/* ISA lines. */
#define VIRT_IRQ_PIT 0u
#define VIRT_IRQ_UART 4u
#define VIRT_IRQ_RTC 8u
#define VIRT_IRQ_SCI 9u /* level, active high (MADT override) */

/* Ports of the power-management block; the FADT names them. */
#define VIRT_PORT_PM1_EVT 0x600u
#define VIRT_PORT_PM1_CNT 0x604u
#define VIRT_PORT_PM_TMR  0x608u
#define VIRT_PORT_GPE0    0x60cu
#define VIRT_PORT_HOTPLUG 0x610u /* devices/virt/hotplug.c */
#define VIRT_PORT_RESET   0xcf9u
#define VIRT_RESET_VALUE  0x06u
#define VIRT_S5_SLP_TYP   5u

/* General-purpose events, as _GPE in dsdt.asl names them. */
#define VIRT_GPE_HOTPLUG 1u

/* The hole for devices below 4 GiB (hv/vm_build.c puts no RAM there), and what lies in it. */
#define VIRT_HOLE_BASE    GIB(3)
#define VIRT_PCI_MMIO     0xe0000000ull
#define VIRT_PCI_MMIO_END 0xfec00000ull
#define VIRT_PCI_IO       0xc000u /* to the end of the ports */
#define VIRT_TESTDEV_MMIO 0xd0001000ull

struct vpci;
struct vpm;
struct vhotplug;
struct vio;

/* vm->platform */
struct vplatform {
	struct vio *io; /* the I/O thread */
	struct vpci *pci;
	struct vpm *pm;
	struct vhotplug *hotplug;
};

int __must_check vuart_create(struct vm *vm);
int __must_check vpit_create(struct vm *vm);
int __must_check vrtc_create(struct vm *vm);
int __must_check vpm_create(struct vm *vm);
int __must_check vpci_create(struct vm *vm);
int __must_check vhotplug_create(struct vm *vm);
int __must_check vports_create(struct vm *vm);
int __must_check vtestdev_create(struct vm *vm);

/** Press the power button. Context: any but NMI. */
void vpm_power_button(struct vm *vm);
/** Raise general-purpose event @n. Context: any but NMI, no device's lock. */
void vpm_gpe_raise(struct vm *vm, unsigned int n);
/** Has the guest enabled it? Context: any. */
bool vpm_gpe_enabled(const struct vm *vm, unsigned int n);

/** Take a device lock for an access; false: busy, and @fast does not wait. */
static inline bool vdev_lock(struct spinlock *l, bool fast, uint64_t *flags)
{
	if (fast)
		return spin_trylock(l);
	*flags = spin_lock_irqsave(l);
	return true;
}

static inline void vdev_unlock(struct spinlock *l, bool fast, uint64_t flags)
{
	if (fast)
		spin_unlock(l);
	else
		spin_unlock_irqrestore(l, flags);
}

/** Register @n port ranges or none. */
int __must_check vdev_ports_add(struct vm *vm, struct gbus_range *r, unsigned int n);
void vdev_ports_del(struct vm *vm, struct gbus_range *r, unsigned int n);

/* For a device without timers or workers. */
void vdev_nop(struct vdev *d);

#endif
