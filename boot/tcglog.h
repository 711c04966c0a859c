/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measuring the length of TCG event log entries.
 *
 * Owns: nothing; pure. Must not know: EFI. Builds on the host for tests. Context: any.
 * Trust: logs come from firmware memory; a size is only given when the entry is whole.
 */
#ifndef RAYOS_BOOT_TCGLOG_H
#define RAYOS_BOOT_TCGLOG_H

#include "kernel/lib/types.h"

#define TCGLOG_ALG_MAX 16u

/* Digest sizes of a crypto-agile log, from its first entry. */
struct tcglog_algs {
	uint32_t count;
	struct {
		uint16_t id;
		uint16_t size; /* bytes */
	} alg[TCGLOG_ALG_MAX];
};

/**
 * Length of an entry in the TCG 1.2 format; also of the first entry of any log.
 * @entry, @avail  the entry and the bytes that may be read there
 * Returns: bytes, 0 when it is not whole
 * Spec:    TCG PC Client Platform Firmware Profile 1.05, 10.2.1 (TCG_PCClientPCREvent)
 */
uint64_t tcglog_entry_size(const void *entry, uint64_t avail);

/**
 * Length of a crypto-agile entry.
 * Returns: bytes, 0 when it is not whole or names an unknown digest
 * Spec:    ibidem, 10.2.2 (TCG_PCR_EVENT2)
 */
uint64_t tcglog_entry2_size(const struct tcglog_algs *algs, const void *entry, uint64_t avail);

/**
 * Read the digest sizes from the first entry of a crypto-agile log.
 * Returns: 0, -RAY_EPROTO (not a specification id event, or damaged)
 * Spec:    ibidem, 10.4.5.1 (TCG_EfiSpecIdEvent)
 */
int __must_check tcglog_algs_read(const void *log, uint64_t avail, struct tcglog_algs *algs);

#endif
