/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which MSRs a guest accesses without an exit: a bit map the CPU reads, everything exits but
 * what travels with the guest anyway. One map is shared; a VM that wants another gets a copy.
 * Owns: the maps. Must not know: where in a map an MSR's bits stand; the backend says that.
 * Locking: a VM's map changes under vm->lock.
 */
#ifndef RAYOS_HV_MSR_MAP_H
#define RAYOS_HV_MSR_MAP_H

#include "kernel/lib/types.h"

struct msr_map_format {
	unsigned int order; /* of the pages a map takes */
	/** Numbers of an MSR's two bits, which are 1 where the access exits. 0, or -RAY_ERANGE for
	 *  an MSR that is in no map and always exits. */
	int (*bits)(uint32_t msr, uint32_t *read, uint32_t *write);
};

struct msr_map {
	void *own;   /* a copy of the shared map, or NULL */
	uint64_t pa; /* of the map in force */
};

/** The shared map. 0, at once where there is one already, or -RAY_ENOMEM. Context: boot. */
int __must_check msr_map_init(const struct msr_map_format *format);

/** Start with the shared map / free the copy. */
void msr_map_vm_init(struct msr_map *m);
void msr_map_vm_fini(struct msr_map *m);

/** Let the guest access an MSR without exits, or not; a vCPU learns of it with its next load.
 *  0, -RAY_ERANGE (asked to pass what always exits), -RAY_ENOMEM (nothing has changed). */
int __must_check msr_map_pass(struct msr_map *m, uint32_t msr, bool read, bool write);

#endif
