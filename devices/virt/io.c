/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/io.h"

#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/mm/heap.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"

struct vio {
	struct vm *vm;
	struct thread *thread;
	struct vio_work *volatile head; /* newest first */
	struct vio_work *volatile current;
	volatile bool stop;
	volatile uint32_t cancellers;
	struct waitq wait; /* the thread, for work */
	struct waitq idle; /* vio_cancel() */
};

struct vio *vio_create(struct vm *vm)
{
	struct vio *io = kzalloc(sizeof(*io), MEM_VDEV);

	if (!io)
		return NULL;
	io->vm = vm;
	waitq_init(&io->wait);
	waitq_init(&io->idle);
	return io;
}

/* What was queued first runs first. */
static struct vio_work *take_all(struct vio *io)
{
	struct vio_work *w = __atomic_exchange_n(&io->head, NULL, __ATOMIC_ACQUIRE), *first = NULL;

	while (w) {
		struct vio_work *next = w->next;

		w->next = first;
		first = w;
		w = next;
	}
	return first;
}

static void run_one(struct vio *io, struct vio_work *w)
{
	/* In this order: who sees it no longer queued sees it running. */
	__atomic_store_n(&io->current, w, __ATOMIC_SEQ_CST);
	__atomic_store_n(&w->queued, 0, __ATOMIC_SEQ_CST);
	w->fn(w);
	__atomic_store_n(&io->current, NULL, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&io->cancellers, __ATOMIC_SEQ_CST))
		waitq_wake_all(&io->idle);
}

static void io_thread(void *arg)
{
	struct vio *io = arg;

	while (!io->stop) {
		struct vio_work *w;

		wait_event(&io->wait, io->head || io->stop, UINT64_MAX);
		w = take_all(io);
		while (w) {
			struct vio_work *next = w->next;

			run_one(io, w);
			w = next;
			sched_point();
		}
	}
}

int vio_start(struct vio *io)
{
	struct thread_attr attr = {.cls = THREAD_CLASS_NORMAL, .cpu = -1};
	char name[32];

	if (io->thread)
		return 0;
	ray_snprintf(name, sizeof(name), "%.26s/io", io->vm->def.name);
	return thread_create(&io->thread, name, io_thread, io, &attr);
}

void vio_destroy(struct vio *io)
{
	if (!io)
		return;
	if (io->thread) {
		io->stop = true;
		waitq_wake_all(&io->wait);
		thread_join(io->thread);
	}
	kfree(io);
}

void vio_queue(struct vio *io, struct vio_work *w)
{
	struct vio_work *old;

	if (__atomic_exchange_n(&w->queued, 1, __ATOMIC_SEQ_CST))
		return;
	old = __atomic_load_n(&io->head, __ATOMIC_RELAXED);
	do {
		w->next = old;
	} while (!__atomic_compare_exchange_n(&io->head, &old, w, true, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	/* A list that was not empty has been told of. */
	if (!old)
		waitq_wake_all(&io->wait);
}

static bool at_rest(const struct vio *io, const struct vio_work *w)
{
	return !__atomic_load_n(&w->queued, __ATOMIC_SEQ_CST) &&
	       __atomic_load_n(&io->current, __ATOMIC_SEQ_CST) != w;
}

void vio_cancel(struct vio *io, struct vio_work *w)
{
	if (!io->thread)
		return;
	__atomic_fetch_add(&io->cancellers, 1, __ATOMIC_SEQ_CST);
	wait_event(&io->idle, at_rest(io, w), UINT64_MAX);
	__atomic_fetch_sub(&io->cancellers, 1, __ATOMIC_SEQ_CST);
}
