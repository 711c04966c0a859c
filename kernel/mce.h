/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machine checks (SDM vol. 3 ch. 15, AMD APM vol. 2 ch. 9): the hardware reports that it
 * failed. Corrected errors are counted; a page that broke under a guest is offered to the
 * hypervisor, which ends that guest; the rest is a panic.
 * Owns: the MCA banks of every CPU. Must not know: guests.
 */
#ifndef RAYOS_KERNEL_MCE_H
#define RAYOS_KERNEL_MCE_H

#include "kernel/lib/types.h"

#define MCE_BANKS_MAX 32u

struct mce_bank {
	uint64_t status, addr, misc;
};

enum mce_verdict {
	MCE_CONTINUE, /* nothing, or corrected, or no action required */
	MCE_PAGE,     /* the page at *page is lost, and so is who was using it */
	MCE_FATAL,
};

/* How much the CPU says about an uncorrected error. */
enum mce_kind {
	MCE_KIND_BASIC, /* nothing: it is fatal */
	MCE_KIND_INTEL, /* MCG_CAP.SER_P: S and AR bits */
	MCE_KIND_AMD,	/* TCC and Deferred bits */
};

/**
 * Judge what the banks say. Pure.
 * @page  written for MCE_PAGE
 */
enum mce_verdict mce_judge(const struct mce_bank *banks, unsigned int n, uint64_t mcg_status,
			   enum mce_kind kind, uint64_t *page);

/** Clear and enable the banks of the calling CPU; the first call adds the handler. */
void mce_init(void);

/**
 * Who may own a page that broke under a guest: returns true when the guest that was running on
 * this CPU does, and will not run again.
 * Context of the call: NMI context on the CPU that took the machine check. Set once, init.
 */
void mce_page_hook_set(bool (*fn)(hpa_t page));

/** Machine checks seen so far that did not end the system. */
uint64_t mce_count(void);

#endif
