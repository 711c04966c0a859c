/* SPDX-License-Identifier: Apache-2.0 */
/* What the vm*.c files share. */
#ifndef RAYOS_HV_VM_PRIV_H
#define RAYOS_HV_VM_PRIV_H

#include "hv/loader.h"
#include "hv/vm.h"

/** Context: hv_init(), once. */
void vm_registry_init(void);
/** Start the thread that takes down VMs that have ended. 0 or -RAY_ENOMEM. */
int __must_check vm_reaper_init(void);
/** Wake it. Context: any but NMI. */
void vm_reaper_wake(void);

/** Define the VMs of a text in the words of rayos.conf; errors go to the log with @file and their
 *  lines. Returns: 0, -RAY_ENOMEM. Context: thread. Trust: the text */
int __must_check vm_conf_take(const char *file, const void *text, size_t len);
/** Start those with autostart that do not run. Context: thread. */
void vm_conf_autostart(void);
/** Keep a definition in the store / let it go. Returns: 0, -RAY_ENODEV (there is no store), errors of
 *  store_file_write(). Context: thread. */
int __must_check vm_store_keep(const struct vm_def *def);
int __must_check vm_store_forget(const char *vm);

/** Everything a running VM has: memory, bus, interrupt controllers, vCPUs, devices, image.
 *  On failure nothing is left. Pre: vm->lock held, VM not running. Context: thread. */
int __must_check vm_build(struct vm *vm, char *why, size_t why_len);
/** The reverse. Pre: vm->lock held; vCPU threads parked or never started. */
void vm_demolish(struct vm *vm);

/** Give vCPU 0 the state a loader described. Pre: it has never run. */
void vm_entry_apply(struct vm *vm, const struct vm_entry *entry);

/** The same for all but the memory and what is in it: bus, interrupt controllers, vCPUs,
 *  devices. What vm_parts_build() leaves on failure, named in *step, goes with
 *  vm_parts_demolish(). */
int __must_check vm_parts_build(struct vm *vm, const char **step);
void vm_parts_demolish(struct vm *vm);

/* vm_start() and others without taking vm->lock. */
int __must_check vm_start_locked(struct vm *vm, char *why, size_t why_len);
int __must_check vm_pause_locked(struct vm *vm);
int __must_check vm_resume_locked(struct vm *vm);
int __must_check vm_state_save_locked(struct vm *vm, struct state_buf *b);
int __must_check vm_state_load_locked(struct vm *vm, struct state_buf *b, char *why, size_t why_len);
/** How many records a state of this VM has. */
unsigned int vm_state_records(const struct vm *vm);

/** Wait until no vCPU runs. Pre: the VM's state or `ending` makes them park. */
void vm_wait_parked(struct vm *vm);
/** Stop the timers of all vCPUs and devices. Pre: no vCPU runs. */
void vm_quiesce(struct vm *vm);

/** An empty definition with the defaults (256M, one vCPU). */
void vm_def_init(struct vm_def *def);
/** Apply one key of a definition. 0, -RAY_ENOENT (no such key; @why has the nearest),
 *  -RAY_EINVAL, -RAY_ERANGE. Trust: key and value. */
int __must_check vm_def_set(struct vm_def *def, const char *key, const char *value, char *why,
			    size_t why_len);

#endif
