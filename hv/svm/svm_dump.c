// SPDX-License-Identifier: Apache-2.0
/* The SVM state of a vCPU as text. */
#include "hv/svm/svm_priv.h"
#include "hv/vcpu.h"
#include "kernel/lib/fmt.h"

typedef void (*emit_fn)(void *ctx, const char *line);
typedef unsigned long long ull;

static void dump_gprs(const struct vcpu *v, emit_fn emit, void *ctx)
{
	static const char *const names[GPR_COUNT] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp",
						      "rsi", "rdi", "r8",  "r9",  "r10", "r11",
						      "r12", "r13", "r14", "r15" };
	char line[128];

	ray_snprintf(line, sizeof(line), "rip=%016llx rflags=%08llx cr2=%016llx", (ull)v->rip,
		     (ull)v->rflags, (ull)v->svm->vmcb->cr2);
	emit(ctx, line);
	for (unsigned int i = 0; i < GPR_COUNT; i += 4) {
		ray_snprintf(line, sizeof(line), "%3s=%016llx %3s=%016llx %3s=%016llx %3s=%016llx",
			     names[i], (ull)v->gpr[i], names[i + 1], (ull)v->gpr[i + 1],
			     names[i + 2], (ull)v->gpr[i + 2], names[i + 3], (ull)v->gpr[i + 3]);
		emit(ctx, line);
	}
}

static void dump_segments(const struct svm_vmcb *s, emit_fn emit, void *ctx)
{
	const struct {
		const char *name;
		const struct svm_vmcb_seg *seg;
	} segs[] = {
		{ "es", &s->es },     { "cs", &s->cs },     { "ss", &s->ss },
		{ "ds", &s->ds },     { "fs", &s->fs },     { "gs", &s->gs },
		{ "ldtr", &s->ldtr }, { "tr", &s->tr },     { "gdtr", &s->gdtr },
		{ "idtr", &s->idtr },
	};
	char line[128];

	for (size_t i = 0; i < ARRAY_SIZE(segs); i++) {
		ray_snprintf(line, sizeof(line), "%-4s sel=%04x attr=%03x limit=%08x base=%016llx",
			     segs[i].name, segs[i].seg->selector, segs[i].seg->attr,
			     segs[i].seg->limit, (ull)segs[i].seg->base);
		emit(ctx, line);
	}
}

static void dump_control(const struct svm_vcpu *sv, emit_fn emit, void *ctx)
{
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
		     "vtpr=%02x virq=%x int_state=%llx nmi_blocked=%d extra=%x n_cr3=%llx tsc_offset=%llx",
		     c->v_tpr, c->v_irq, (ull)c->int_state, sv->nmi_blocked, sv->extra,
		     (ull)c->n_cr3, (ull)c->tsc_offset);
	emit(ctx, line);
}

void svm_dump(struct vcpu *vcpu, emit_fn emit, void *ctx)
{
	const struct svm_vmcb *s = vcpu->svm->vmcb;
	char line[160];

	dump_gprs(vcpu, emit, ctx);
	ray_snprintf(line, sizeof(line), "cr0=%08llx cr3=%016llx cr4=%08llx efer=%llx cpl=%u",
		     (ull)s->cr0, (ull)s->cr3, (ull)s->cr4, (ull)s->efer, s->cpl);
	emit(ctx, line);
	ray_snprintf(line, sizeof(line), "dr6=%llx dr7=%llx star=%016llx lstar=%016llx kgs=%016llx",
		     (ull)s->dr6, (ull)s->dr7, (ull)s->star, (ull)s->lstar,
		     (ull)s->kernel_gs_base);
	emit(ctx, line);
	dump_segments(s, emit, ctx);
	dump_control(vcpu->svm, emit, ctx);
}
