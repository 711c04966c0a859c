// SPDX-License-Identifier: Apache-2.0
#define LOG_TAG "power"
#include "kernel/acpi/acpi.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/reset.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/marker.h"
#include "kernel/power/power.h"
#include "kernel/sched/spinlock.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

/* AML that has not loaded by then is not going to. */
#define ACPI_WAIT_NS 10000000000ull

static struct spinlock lock = SPINLOCK_INIT(LOCK_ORDER_NONE);
static struct list_head stops = LIST_HEAD_INIT(stops);
static bool ending;

void power_stop_add(struct power_stop *s)
{
	uint64_t flags = spin_lock_irqsave(&lock);

	list_add(&s->node, &stops);
	spin_unlock_irqrestore(&lock, flags);
}

static bool claim(void)
{
	return !__atomic_exchange_n(&ending, true, __ATOMIC_ACQ_REL);
}

/* Nothing leaves the list, so the walk needs no lock. */
static void stop_all(enum power_action action)
{
	struct power_stop *s;

	list_for_each_entry(s, &stops, node) {
		log_info("stopping %s", s->name);
		s->stop(action, time_now() + POWER_STOP_NS);
	}
}

static int off_prepare(void)
{
	(void)acpi_wait(time_now() + ACPI_WAIT_NS);
	return acpi_off_prepare();
}

int power_end(enum power_action action)
{
	int err = 0;

	if (!claim())
		return -RAY_EBUSY;
	/* First find out whether it can be done at all. */
	if (action == POWER_OFF)
		err = off_prepare();
	if (err) {
		__atomic_store_n(&ending, false, __ATOMIC_RELEASE);
		return err;
	}
	stop_all(action);
	/* With interrupts off the console polls, so the marker is out before the power goes. */
	irq_disable();
	marker_print(action == POWER_OFF ? MARKER_POWER_OFF : MARKER_POWER_RESET, "");
	if (action == POWER_RESET)
		arch_reset();
	err = acpi_off_enter();
	irq_enable();
	log_err("power stayed on: %s", ray_strerror(err));
	__atomic_store_n(&ending, false, __ATOMIC_RELEASE);
	return err;
}

static void request_thread(void *arg)
{
	enum power_action action = (enum power_action)(uintptr_t)arg;
	int err = power_end(action);

	log_err("%s failed: %s", action == POWER_OFF ? "poweroff" : "reboot", ray_strerror(err));
}

void power_request(enum power_action action)
{
	static const struct thread_attr attr = {.cls = THREAD_CLASS_WORKER, .cpu = -1, .stack = 32768};
	struct thread *t;
	int err = thread_create(&t, "power", request_thread, (void *)(uintptr_t)action, &attr);

	if (err)
		log_err("cannot end: %s", ray_strerror(err));
	else
		thread_detach(t);
}

static void button_pressed(void)
{
	log_info("power button pressed");
	power_request(POWER_OFF);
}

void power_init(void)
{
	int err;

	acpi_reset_init();
	err = acpi_start(button_pressed);
	if (err)
		log_info("no power control: %s", ray_strerror(err));
}
