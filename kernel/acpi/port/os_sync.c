// SPDX-License-Identifier: Apache-2.0
/* ACPICA's locks, semaphores and time. */
#include <acpi/acpi.h>

#include "kernel/mm/heap.h"
#include "kernel/sched/spinlock.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"
#include "kernel/time/time.h"

struct semaphore {
	struct waitq q;
	uint32_t units, max;
};

acpi_status acpi_os_create_semaphore(u32 max_units, u32 initial_units, acpi_semaphore *out_handle)
{
	struct semaphore *s;

	if (initial_units > max_units)
		return AE_BAD_PARAMETER;
	s = kzalloc(sizeof(*s), MEM_ACPI);
	if (!s)
		return AE_NO_MEMORY;
	waitq_init(&s->q);
	s->units = initial_units;
	s->max = max_units;
	*out_handle = s;
	return AE_OK;
}

acpi_status acpi_os_delete_semaphore(acpi_semaphore handle)
{
	kfree(handle);
	return AE_OK;
}

static bool semaphore_take(struct semaphore *s, uint32_t units)
{
	uint32_t have = __atomic_load_n(&s->units, __ATOMIC_RELAXED);

	do {
		if (have < units)
			return false;
	} while (!__atomic_compare_exchange_n(&s->units, &have, have - units, false,
					      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	return true;
}

acpi_status acpi_os_wait_semaphore(acpi_semaphore handle, u32 units, u16 timeout)
{
	struct semaphore *s = handle;
	uint64_t deadline = UINT64_MAX;

	if (!s)
		return AE_BAD_PARAMETER;
	if (semaphore_take(s, units))
		return AE_OK;
	if (timeout == ACPI_DO_NOT_WAIT)
		return AE_TIME;
	if (timeout != ACPI_WAIT_FOREVER)
		deadline = time_now() + timeout * 1000000ull;
	return wait_event(&s->q, semaphore_take(s, units), deadline) ? AE_OK : AE_TIME;
}

acpi_status acpi_os_signal_semaphore(acpi_semaphore handle, u32 units)
{
	struct semaphore *s = handle;
	uint32_t have;

	if (!s)
		return AE_BAD_PARAMETER;
	have = __atomic_load_n(&s->units, __ATOMIC_RELAXED);
	do {
		if (units > s->max - have)
			return AE_LIMIT;
	} while (!__atomic_compare_exchange_n(&s->units, &have, have + units, false,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	waitq_wake_all(&s->q);
	return AE_OK;
}

acpi_status acpi_os_create_lock(acpi_spinlock *out_handle)
{
	struct spinlock *l = kzalloc(sizeof(*l), MEM_ACPI);

	if (!l)
		return AE_NO_MEMORY;
	/* ACPICA has an order of its own, which it checks itself. */
	spin_lock_init(l, LOCK_ORDER_NONE);
	*out_handle = (acpi_spinlock)l;
	return AE_OK;
}

void acpi_os_delete_lock(acpi_spinlock handle)
{
	kfree((void *)handle);
}

acpi_cpu_flags acpi_os_acquire_lock(acpi_spinlock handle)
{
	return spin_lock_irqsave((struct spinlock *)handle);
}

void acpi_os_release_lock(acpi_spinlock handle, acpi_cpu_flags flags)
{
	spin_unlock_irqrestore((struct spinlock *)handle, flags);
}

acpi_thread_id acpi_os_get_thread_id(void)
{
	return (uintptr_t)thread_current();
}

void acpi_os_sleep(u64 milliseconds)
{
	/* AML gives the number; a minute is the most it gets. */
	thread_sleep_until(time_now() + MIN(milliseconds, 60000ull) * 1000000ull);
}

void acpi_os_stall(u32 microseconds)
{
	time_delay_ns(microseconds * 1000ull);
}

u64 acpi_os_get_timer(void)
{
	return time_now() / 100;
}
