/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that frees: dead threads nobody joins, and objects whose readers have left.
 */
#include "kernel/panic.h"
#include "kernel/sched/sched_priv.h"

#define RETRY_NS 1000000ull /* readers leave within microseconds; a busy vCPU exit may not */

static struct thread *worker;
static uint32_t work_pending;

void housekeeping_wake(void)
{
	/* What comes before the thread exists waits for its first round. */
	__atomic_store_n(&work_pending, 1, __ATOMIC_RELEASE);
	if (worker)
		thread_wake(worker);
}

static bool work_take(void)
{
	return __atomic_exchange_n(&work_pending, 0, __ATOMIC_ACQ_REL) != 0;
}

static void housekeeping(void *arg)
{
	(void)arg;
	for (;;) {
		uint64_t retry = UINT64_MAX;

		thread_reap();
		if (epoch_reclaim())
			retry = time_now() + RETRY_NS;
		/* No queue: a wake-up by name is kept until the sleep. */
		while (!work_take() && time_now() < retry)
			waitq_sleep(retry);
	}
}

void housekeeping_start(void)
{
	if (thread_create(&worker, "housekeeping", housekeeping, NULL, NULL) != 0)
		panic("no memory for the housekeeping thread");
	housekeeping_wake();
}
