/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI with AML: power button, switching off, interrupt routing. ACPICA does the work; nothing
 * outside kernel/acpi sees it.
 * Owns: the namespace, the SCI. Must not know: what is to be stopped before power goes.
 * The namespace is loaded by a thread after boot: nothing on the way to the shell waits for AML.
 */
#ifndef RAYOS_KERNEL_ACPI_ACPI_H
#define RAYOS_KERNEL_ACPI_ACPI_H

#include "kernel/lib/types.h"

/**
 * Take the reset register from the FADT (also for panic). Without ACPI nothing happens.
 * Context: init, after acpi_tables_init().
 */
void acpi_reset_init(void);

/**
 * Begin loading the namespace in a thread of its own; routes and the power button follow.
 * @on_power_button  called in a thread when the button was pressed
 * Returns: 0, -RAY_ENODEV (no ACPI), -RAY_ENOMEM. Context: thread.
 */
int __must_check acpi_start(void (*on_power_button)(void));

enum acpi_state {
	ACPI_STATE_ABSENT,  /* firmware has none, or acpi_start() was not called */
	ACPI_STATE_LOADING,
	ACPI_STATE_READY,
	ACPI_STATE_FAILED,  /* firmware's AML is unusable; the tables stay readable */
};
enum acpi_state acpi_state(void);

/** Wait until loading has ended one way or the other. Context: thread. */
enum acpi_state acpi_wait(uint64_t deadline_ns);

/**
 * Prepare soft-off: tells the firmware. Afterwards acpi_off_enter() is the last call. When
 * firmware's code cannot be run, the tables' bytes serve (soft_off.h).
 * Returns: 0, -RAY_ENODEV (no ACPI), -RAY_ENOSYS (firmware has no _S5).
 * Context: thread, acpi_wait() done.
 */
int __must_check acpi_off_prepare(void);
/** Switch off. Returns only if power stays on: -RAY_EIO. Context: IRQs off. */
int acpi_off_enter(void);

#endif
