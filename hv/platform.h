/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the machine around the CPUs (devices/virt) reaches a VM without hv/ including it.
 * Owns: one table of callbacks, registered at boot. Must not know: any device.
 */
#ifndef RAYOS_HV_PLATFORM_H
#define RAYOS_HV_PLATFORM_H

#include "kernel/lib/types.h"

struct vm;

struct vplatform_ops {
	/**
	 * Create every device of the VM. Pre: bus, vCPUs and virq_create() are there; nothing runs.
	 * Returns: 0 or -RAY_E*; on failure destroy() is called by the owner all the same.
	 */
	int (*create)(struct vm *vm);
	/** Write firmware tables (ACPI, SMBIOS) into the memory of a VM that is to boot. */
	int (*firmware)(struct vm *vm);
	/**
	 * What is left of the platform after every device of vm->vdevs was destroyed by its own
	 * destroy(). Idempotent, and fine after a create() that failed half-way.
	 */
	void (*destroy)(struct vm *vm);
	/** Press the ACPI power button. Context: thread. */
	void (*power_button)(struct vm *vm);
};

/** Context: init, once. @ops is kept. */
void hv_platform_register(const struct vplatform_ops *ops);
/** The registered table, NULL before. Context: any. */
const struct vplatform_ops *hv_platform(void);

#endif
