/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look at all threads, for people.
 */
#ifndef RAYOS_KERNEL_SCHED_THREAD_LIST_H
#define RAYOS_KERNEL_SCHED_THREAD_LIST_H

#include "kernel/lib/types.h"

struct thread_info {
	char name[32];
	unsigned int cpu;
	bool pinned;
	const char *cls;   /* "worker", "normal", "idle" */
	const char *state; /* "running", "ready", "asleep" */
	uint64_t runtime_ns;
	uint64_t switches;
};

/**
 * Copy up to @max entries, oldest thread first.
 * Returns: how many threads there are. Context: any but NMI.
 */
size_t thread_list(struct thread_info *out, size_t max);

#endif
