/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk's own threads: one mends it, one reads its partitions once. They are its own so that a
 * disk that takes its time with that keeps nobody else waiting.
 */
#include "kernel/block/block_priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#define LOG_TAG "block"
#include "kernel/log.h"
#include "kernel/marker.h"
#include "kernel/sched/thread.h"

#define SETTLE_NS 10000000000ull

/* Disks published whose partitions are not read yet, and drivers that look for disks; atomic. */
static unsigned int unread;
static struct waitq settled;

void block_worker_init(void)
{
	waitq_init(&settled);
	unread = 0;
}

static void give_up(struct block_queue *q, int err)
{
	struct block_dev *dev = q->dev;

	log_err("disk failed, it does not come back: %s disk=%s", ray_strerror(err),
		dev->ident.name);
	dev->state = BLOCK_FAILED;
	block_queue_kill(q, -RAY_EIO);
	marker_print(MARKER_BLOCK_FAILED, "disk=%s", dev->ident.name);
}

static void mend(struct block_queue *q)
{
	int err;

	if (q->dead)
		return;
	log_warn("disk does not answer, or wrongly; resetting it disk=%s", q->dev->ident.name);
	block_queue_stop(q);
	err = q->ops->recover(q->drv);
	block_fault_end(q, true, -RAY_EAGAIN);
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
		if (todo & BLOCK_TODO_FAULT)
			block_fault_end(q, false, -RAY_EIO);
		if (todo & BLOCK_TODO_TROUBLE)
			mend(q);
	}
}

int block_worker_start(struct block_queue *q)
{
	static const struct thread_attr attr = {.cls = THREAD_CLASS_WORKER, .cpu = -1};
	char name[32];

	ray_snprintf(name, sizeof(name), "block/%s", q->dev->ident.name);
	return thread_create(&q->thread, name, worker, q, &attr);
}

/* Apart from the worker, which has to mend a disk that does not answer the scan. */
static void scanner(void *arg)
{
	struct block_queue *q = arg;

	if (!q->dead)
		block_parts_scan(q->dev);
	/* The last of the queue: who waits for it may free it. */
	__atomic_store_n(&q->scanned, true, __ATOMIC_RELEASE);
	block_search_end();
}

void block_scan_start(struct block_queue *q)
{
	static const struct thread_attr attr = {.cls = THREAD_CLASS_WORKER, .cpu = -1};
	struct thread *t;
	char name[32];
	int err;

	block_search_begin();
	ray_snprintf(name, sizeof(name), "scan/%s", q->dev->ident.name);
	err = thread_create(&t, name, scanner, q, &attr);
	if (!err) {
		thread_detach(t);
		return;
	}
	log_warn("partitions not read: %s disk=%s", ray_strerror(err), q->dev->ident.name);
	q->scanned = true;
	block_search_end();
}

void block_search_begin(void)
{
	__atomic_fetch_add(&unread, 1, __ATOMIC_RELAXED);
}

void block_search_end(void)
{
	__atomic_fetch_sub(&unread, 1, __ATOMIC_RELEASE);
	waitq_wake_all(&settled);
}

void block_scan_wait(struct block_queue *q)
{
	(void)wait_event(&settled, __atomic_load_n(&q->scanned, __ATOMIC_ACQUIRE), UINT64_MAX);
}

int block_settle(void)
{
	bool all = wait_event(&settled, __atomic_load_n(&unread, __ATOMIC_ACQUIRE) == 0,
			      time_now() + SETTLE_NS);

	return all ? 0 : -RAY_ETIMEDOUT;
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
