/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to the VMs when the machine is switched off or restarted.
 */
#ifndef RAYOS_HV_VM_POWER_H
#define RAYOS_HV_VM_POWER_H

/**
 * Have kernel/power stop all VMs before the end: each gets its power button, and at the
 * deadline those that still run are killed. Context: init, once. Returns: 0.
 */
int vm_power_init(void);

#endif
