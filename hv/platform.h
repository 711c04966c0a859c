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
	 * Is @kind a device that a definition may name, and is @spec good for it?
	 * Returns: 0, -RAY_ENOENT (no such kind; @why is untouched), other -RAY_E* with @why.
	 * Context: thread. Trust: both.
	 */
	int (*device_check)(const char *kind, const char *spec, char *why, size_t why_len);
	/** The name of the n-th kind of device, NULL behind the last. */
	const char *(*device_kind)(unsigned int n);
	/**
	 * Make what outlasts a reset of the VM: the back ends of its devices. Called when it
	 * starts, before create(). 0 or -RAY_E* with @why, nothing left. Context: vm->lock.
	 */
	int (*open)(struct vm *vm, char *why, size_t why_len);
	/** The reverse, when the VM has ended for good, after destroy(). Idempotent. */
	void (*close)(struct vm *vm);
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
