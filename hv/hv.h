/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor as a whole: which backend, switched on on which CPUs.
 */
#ifndef RAYOS_HV_HV_H
#define RAYOS_HV_HV_H

#include "kernel/lib/types.h"

/**
 * Choose a backend, enable it on every CPU, print RAYOS_VMM:BACKEND_READY, start the reaper.
 * A machine without one is fine: backend=none, and vm_start() says so.
 * Context: init, after SMP and threads. Returns: 0 or -RAY_ENOMEM.
 */
int __must_check hv_init(void);

/** Define the VMs of rayos.conf's [vm NAME] sections and start those with autostart; errors go
 *  to the log with their line numbers. Context: init, after hv_init(). 0 or -RAY_ENOMEM. */
int __must_check vm_conf_init(void);
/** The same for definitions that the store has. Context: init, after vm_conf_init(). */
int __must_check vm_store_init(void);

/** Every state component this machine has, XCR0 outside of guests. */
uint64_t hv_host_xcr0(void);
/** Bytes of an XSAVE area for all of them. */
uint32_t hv_xsave_size(void);
/** Whether guests may be offered XSAVEC: the CPU has it and it works. */
bool hv_xsavec_usable(void);
/** Try it (xsave_check.c). 0 or -RAY_ENOMEM. Context: init; vector registers are nobody's. */
int __must_check hv_xsavec_check(bool *good);

#endif
