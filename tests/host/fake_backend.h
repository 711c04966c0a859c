/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The third backend: exits come from a script, registers are arrays, and translations are
 * kept in a tagged TLB that remembers everything it ever saw, per CPU. A guest access that
 * hits an entry second-level paging no longer agrees with fails the test: that is a flush
 * somebody forgot.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_BACKEND_H
#define RAYOS_TESTS_HOST_FAKE_BACKEND_H

#include "hv/backend.h"
#include "hv/vm.h"

extern const struct hv_backend fake_backend;

/* What the guest does before its next exit, and that exit. */
struct fake_step {
	/** Runs "in the guest", with the vCPU's registers as it would see them. NULL: nothing. */
	void (*guest)(struct vcpu *v);
	struct hv_exit exit;
	struct hv_event exitint;
};

/** The script of all vCPUs; the end of it is a triple fault. Also forgets all TLB entries. */
void fake_script(const struct fake_step *steps, unsigned int count);
/** Steps run so far. */
unsigned int fake_steps_run(void);
/** What was injected at the last entry (valid false: nothing). */
struct hv_event fake_injected(void);
/** A guest's access through second-level paging and the TLB of its CPU. True: reached memory. */
bool fake_touch(struct vcpu *v, uint64_t gpa, unsigned int prot);

#endif
