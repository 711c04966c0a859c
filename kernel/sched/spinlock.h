/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ticket spinlocks. Holding one disables preemption. Lock classes carry an order number:
 * debug builds panic on an inversion or on a sleep with a spinlock held.
 */
#ifndef RAYOS_KERNEL_SCHED_SPINLOCK_H
#define RAYOS_KERNEL_SCHED_SPINLOCK_H

#include "kernel/lib/types.h"

/* Acquire in rising order only. */
enum lock_order {
	LOCK_ORDER_NONE = 0, /* leaf-free: unchecked (boot, panic) */
	LOCK_ORDER_VM_LIST = 10,
	LOCK_ORDER_VM = 20,
	LOCK_ORDER_VDEV = 30,
	LOCK_ORDER_VDEV_REGS = 35,
	LOCK_ORDER_VQUEUE = 40,
	LOCK_ORDER_VQUEUE_PEER = 45, /* the queue another VM's frame goes into */
	LOCK_ORDER_VBACK = 47,       /* what stands behind a queue: a console's port */
	LOCK_ORDER_VIRQ = 50,
	LOCK_ORDER_STORE = 53,
	LOCK_ORDER_NET = 55,
	LOCK_ORDER_BLOCK_LIST = 56,
	LOCK_ORDER_BLOCK = 58,
	LOCK_ORDER_DRIVER = 60,
	LOCK_ORDER_STORE_QUEUE = 62, /* taken where a driver ends a request */
	LOCK_ORDER_DMA = 63,
	LOCK_ORDER_IOMMU = 64,
	LOCK_ORDER_RANDOM = 65,
	LOCK_ORDER_PCI = 70,
	LOCK_ORDER_IRQ = 80,
	LOCK_ORDER_WAIT = 90,
	LOCK_ORDER_THREADS = 95,
	LOCK_ORDER_RUNQ = 100,
	LOCK_ORDER_TIMER = 110,
	LOCK_ORDER_GMEM = 115,
	LOCK_ORDER_VMAP = 120,
	LOCK_ORDER_HEAP = 130,
	LOCK_ORDER_PAGE = 140,
	LOCK_ORDER_LOG = 150,
	LOCK_ORDER_CONSOLE = 160,
};

struct spinlock {
	uint16_t next;
	uint16_t owner;
	uint16_t order; /* enum lock_order */
	uint16_t cpu_plus1; /* holder, debug builds */
};

#define SPINLOCK_INIT(ord) { .next = 0, .owner = 0, .order = (ord), .cpu_plus1 = 0 }

void spin_lock_init(struct spinlock *l, enum lock_order order);
void spin_lock(struct spinlock *l);
bool spin_trylock(struct spinlock *l) __must_check;
void spin_unlock(struct spinlock *l);
/** The IRQ-safe pair; returns and takes the previous interrupt flag. */
uint64_t spin_lock_irqsave(struct spinlock *l) __must_check;
void spin_unlock_irqrestore(struct spinlock *l, uint64_t flags);

#endif
