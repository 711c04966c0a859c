// SPDX-License-Identifier: Apache-2.0
/* The control fields of a VMCB as text. */
#include "hv/svm/svm_priv.h"
#include "hv/vcpu.h"
#include "kernel/lib/fmt.h"

typedef unsigned long long ull;

void svm_dump(struct vcpu *vcpu, void (*emit)(void *ctx, const char *line), void *ctx)
{
	const struct svm_vcpu *sv = vcpu->svm;
	const struct svm_vmcb *c = sv->vmcb;
	char line[160];

	ray_snprintf(line, sizeof(line), "exit=%llx info1=%llx info2=%llx intinfo=%llx nrip=%llx",
		     (ull)c->exit_code, (ull)c->exit_info1, (ull)c->exit_info2,
		     (ull)c->exit_int_info, (ull)c->nrip);
	emit(ctx, line);
	ray_snprintf(line, sizeof(line),
		     "intercepts cr=%08x dr=%08x exc=%08x 1=%08x 2=%08x asid=%u tlb=%u clean=%x",
		     c->intercept_cr, c->intercept_dr, c->intercept_exc, c->intercept1,
		     c->intercept2, c->asid, c->tlb_control, c->clean);
	emit(ctx, line);
	ray_snprintf(line, sizeof(line),
		     "vtpr=%02x virq=%x int_state=%llx cpl=%u extra=%x n_cr3=%llx tsc_offset=%llx",
		     c->v_tpr, c->v_irq, (ull)c->int_state, c->cpl, sv->extra, (ull)c->n_cr3,
		     (ull)c->tsc_offset);
	emit(ctx, line);
}
