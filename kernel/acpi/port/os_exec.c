// SPDX-License-Identifier: Apache-2.0
/* ACPICA's deferred calls: from the SCI handler to a thread, through a queue without allocation. */
#define LOG_TAG "acpi"
#include <acpi/acpi.h>

#include "kernel/acpi/port/port.h"
#include "kernel/arch/guarded.h"
#include "kernel/log.h"
#include "kernel/sched/spinlock.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"
#include "kernel/time/time.h"

#define QUEUE_SLOTS 64u

struct call {
	acpi_osd_exec_callback fn;
	void *arg;
};

static struct spinlock lock = SPINLOCK_INIT(LOCK_ORDER_NONE);
static struct call queue[QUEUE_SLOTS];
static uint32_t head, tail; /* free-running; calls head..tail wait, head is counted when done */
static uint64_t dropped;
static struct waitq work, idle;

static bool call_next(struct call *out)
{
	uint64_t flags = spin_lock_irqsave(&lock);
	bool any = head != tail;

	if (any)
		*out = queue[head % QUEUE_SLOTS];
	spin_unlock_irqrestore(&lock, flags);
	return any;
}

static void call_run(void *arg)
{
	const struct call *c = arg;

	c->fn(c->arg);
}

static void worker(void *arg)
{
	(void)arg;
	for (;;) {
		struct call c;
		uint64_t flags;

		if (!wait_event(&work, call_next(&c), UINT64_MAX))
			continue;
		if (!acpi_port_abandoned() && !guarded_call(call_run, &c))
			acpi_port_abandon();
		flags = spin_lock_irqsave(&lock);
		head++;
		spin_unlock_irqrestore(&lock, flags);
		waitq_wake_all(&idle);
	}
}

int acpi_port_exec_init(void)
{
	static const struct thread_attr attr = {.cls = THREAD_CLASS_WORKER, .cpu = -1, .stack = 32768};
	struct thread *t;
	int err;

	waitq_init(&work);
	waitq_init(&idle);
	err = thread_create(&t, "acpi-exec", worker, NULL, &attr);
	if (!err)
		thread_detach(t);
	return err;
}

uint64_t acpi_port_exec_dropped(void)
{
	return __atomic_load_n(&dropped, __ATOMIC_RELAXED);
}

acpi_status acpi_os_execute(acpi_execute_type type, acpi_osd_exec_callback function, void *context)
{
	uint64_t flags = spin_lock_irqsave(&lock);
	bool room = tail - head < QUEUE_SLOTS;

	(void)type;
	if (room)
		queue[tail++ % QUEUE_SLOTS] = (struct call){.fn = function, .arg = context};
	else
		dropped++;
	spin_unlock_irqrestore(&lock, flags);
	if (!room)
		return AE_NO_MEMORY;
	waitq_wake_one(&work);
	return AE_OK;
}

void acpi_os_wait_events_complete(void)
{
	wait_event(&idle, __atomic_load_n(&head, __ATOMIC_ACQUIRE) ==
				  __atomic_load_n(&tail, __ATOMIC_ACQUIRE), UINT64_MAX);
}
