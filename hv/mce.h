/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine check that takes a page from a guest ends that guest and nobody else.
 * Owns: the claim on such pages (kernel/mce.h asks). The exit table does the rest.
 */
#ifndef RAYOS_HV_MCE_H
#define RAYOS_HV_MCE_H

#include "hv/exit.h"

/** Answer the kernel's question whose page it is. Context: hv_init(), once. */
void hv_mce_init(void);

/* HV_EXIT_MCE, after the host's handler has run: back in, or the end of the VM. */
enum hv_disposition hv_mce_fast(struct vcpu *v, struct hv_exit *e);
enum hv_disposition hv_mce_thread(struct vcpu *v, struct hv_exit *e);

#endif
