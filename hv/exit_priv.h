/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers that exit.c's table takes from its neighbours. Inside hv/ only; hv/exit.h has the
 * contract of fast and thread handlers. */
#ifndef RAYOS_HV_EXIT_PRIV_H
#define RAYOS_HV_EXIT_PRIV_H

#include "hv/exit.h"

enum hv_disposition exit_io_fast(struct vcpu *v, struct hv_exit *e);
enum hv_disposition exit_io_thread(struct vcpu *v, struct hv_exit *e);
enum hv_disposition exit_stage2_fast(struct vcpu *v, struct hv_exit *e);
enum hv_disposition exit_stage2_thread(struct vcpu *v, struct hv_exit *e);
enum hv_disposition exit_cr_fast(struct vcpu *v, struct hv_exit *e);
enum hv_disposition exit_hypercall_fast(struct vcpu *v, struct hv_exit *e); /* pv.c */

/** End the VM, naming the exit. */
enum hv_disposition exit_unexpected(struct vcpu *v, struct hv_exit *e);
/** The vCPU's registers and its backend's control fields, line by line. Context: thread. */
void vcpu_dump(struct vcpu *v, void (*emit)(void *ctx, const char *line), void *ctx);
/** vcpu_dump() into the log. */
void vcpu_dump_log(struct vcpu *v);

#endif
