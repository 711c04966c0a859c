/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address-space identifiers of one CPU. A vCPU keeps the ASID it was given for as long as the
 * generation stands; when the numbers run out the generation ends, everything is flushed and
 * numbering starts again. Pure. Locking: the CPU's, preemption off.
 */
#ifndef RAYOS_HV_SVM_ASID_H
#define RAYOS_HV_SVM_ASID_H

#include "kernel/lib/types.h"

struct svm_asid_pool {
	uint64_t generation; /* 0 is never current: a vCPU without an ASID carries it */
	uint32_t next;
	uint32_t count;      /* ASIDs are 1..count-1 (CPUID 0x8000000A EBX) */
};

/** @count from CPUID, at least 2. The first take flushes: the TLB's past is unknown. */
void svm_asid_init(struct svm_asid_pool *p, uint32_t count);

/**
 * Give out an ASID no other vCPU of this generation has.
 * @flush  set when the whole TLB must be flushed at the entry that first uses it
 * Returns: the ASID; its generation is p->generation.
 */
uint32_t svm_asid_take(struct svm_asid_pool *p, bool *flush);

#endif
