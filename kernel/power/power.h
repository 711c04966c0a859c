/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ending the machine's run in good order: stop what runs, say so, switch off or restart.
 * Owns: the order of the end. Must not know: virtual machines (they register a stop call).
 */
#ifndef RAYOS_KERNEL_POWER_POWER_H
#define RAYOS_KERNEL_POWER_POWER_H

#include "kernel/lib/list.h"
#include "kernel/lib/types.h"

enum power_action { POWER_OFF, POWER_RESET };

/* What is to be stopped first. Registered for good, called latest-registered first. */
struct power_stop {
	struct list_head node;
	const char *name;
	/**
	 * Stop in good order, or by force once @deadline_ns (time_now() scale) has passed.
	 * Context: thread. Must return soon after the deadline.
	 */
	void (*stop)(enum power_action action, uint64_t deadline_ns);
};
void power_stop_add(struct power_stop *s);

/** Time that each of them gets before force. */
#define POWER_STOP_NS 30000000000ull

/**
 * Prepare, stop everything, print the marker, end.
 * Returns: only on failure, before anything was stopped: -RAY_ENODEV, -RAY_ENOSYS (this machine
 *          cannot switch itself off), -RAY_EBUSY (already under way); or -RAY_EIO when all
 *          was stopped and the power stayed on. Context: thread.
 */
int __must_check power_end(enum power_action action);

/** Do that from a thread of its own; for those that may not wait. Context: thread. */
void power_request(enum power_action action);

/** Start what listens: reset register, power button. Context: thread, once, after pci_init(). */
void power_init(void);

#endif
