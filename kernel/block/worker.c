/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk's own thread: it mends the disk and reads its partitions. One for each, so that a disk
 * that takes its time with that keeps nobody else waiting.
 */
#include "kernel/block/block_priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#define LOG_TAG "block"
#include "kernel/log.h"
#include "kernel/marker.h"
#include "kernel/sched/thread.h"

static void give_up(struct block_queue *q, int err)
{
	struct block_dev *dev = q->dev;

	log_err("disk failed, it does not come back: %s disk=%s", ray_strerror(err),
		dev->ident.name);
	dev->state = BLOCK_FAILED;
	block_queue_kill(q, -RAY_EIO);
	marker_print(MARKER_BLOCK_FAILED, "disk=%s", dev->ident.name);
	block_tell(dev, BLOCK_CHANGED);
}

static void mend(struct block_queue *q)
{
	int err;

	if (q->dead)
		return;
	log_warn("disk does not answer, or wrongly; resetting it disk=%s", q->dev->ident.name);
	block_queue_stop(q);
	err = q->ops->recover(q->drv);
	if (err)
		give_up(q, err);
	else
		block_queue_go(q);
}

static void worker(void *arg)
{
	struct block_queue *q = arg;

	for (;;) {
		uint32_t todo;

		wait_event(&q->wake, __atomic_load_n(&q->todo, __ATOMIC_ACQUIRE) != 0, UINT64_MAX);
		todo = __atomic_exchange_n(&q->todo, 0, __ATOMIC_ACQ_REL);
		if (todo & BLOCK_TODO_QUIT)
			return;
		if (todo & BLOCK_TODO_TROUBLE)
			mend(q);
		if ((todo & BLOCK_TODO_SCAN) && !q->dead)
			block_parts_scan(q->dev);
	}
}

int block_worker_start(struct block_queue *q)
{
	static const struct thread_attr attr = {.cls = THREAD_CLASS_WORKER, .cpu = -1};
	char name[32];

	ray_snprintf(name, sizeof(name), "block/%s", q->dev->ident.name);
	return thread_create(&q->thread, name, worker, q, &attr);
}

void block_worker_wake(struct block_queue *q, uint32_t todo)
{
	__atomic_fetch_or(&q->todo, todo, __ATOMIC_ACQ_REL);
	waitq_wake_one(&q->wake);
}

void block_worker_stop(struct block_queue *q)
{
	block_worker_wake(q, BLOCK_TODO_QUIT);
	thread_join(q->thread);
}
