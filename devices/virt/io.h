/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O thread of a VM: what its devices do that is too long for an exit handler. One thread
 * for each VM, of the same class as its vCPUs, so that a VM that keeps its devices busy takes
 * its share of the CPUs and nobody else's.
 * Owns: the thread and the list of work. Must not know: devices.
 * Locking: none; work is pushed onto a list by any CPU and taken whole by the thread.
 */
#ifndef RAYOS_DEVICES_VIRT_IO_H
#define RAYOS_DEVICES_VIRT_IO_H

#include "kernel/lib/types.h"

struct vio;
struct vm;

/* A piece of work; embed it. It is on the list at most once, and never runs beside itself. */
struct vio_work {
	struct vio_work *next;
	void (*fn)(struct vio_work *w); /* context: the I/O thread; bounded, may sleep briefly */
	volatile uint32_t queued;
};

static inline void vio_work_init(struct vio_work *w, void (*fn)(struct vio_work *w))
{
	*w = (struct vio_work){.fn = fn};
}

/** The thread's work list; it starts with the first vio_start(). NULL: no memory. */
struct vio *vio_create(struct vm *vm) __must_check;
/** Start the thread unless it runs. 0 or -RAY_ENOMEM. Context: thread, vm->lock. */
int __must_check vio_start(struct vio *io);
/** End the thread. Pre: no work is queued any more and none will be. */
void vio_destroy(struct vio *io);

/** Run @w soon, once more if it runs just now. Context: any but NMI; lock-free. */
void vio_queue(struct vio *io, struct vio_work *w);
/** On return @w neither runs nor is queued. Pre: nobody queues it any more (what its own fn
 *  queues meanwhile counts). Context: thread, no locks; not the I/O thread. */
void vio_cancel(struct vio *io, struct vio_work *w);

#endif
