/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU's registers for people, after it did what cannot be continued. */
#include "hv/exit_priv.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "kernel/lib/fmt.h"
#define LOG_TAG "vcpu"
#include "kernel/log.h"

typedef void (*emit_fn)(void *ctx, const char *line);
typedef unsigned long long ull;

static void dump_gprs(struct vcpu *v, emit_fn emit, void *ctx)
{
	static const char *const names[GPR_COUNT] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp",
						      "rsi", "rdi", "r8",  "r9",  "r10", "r11",
						      "r12", "r13", "r14", "r15" };
	char line[128];

	ray_snprintf(line, sizeof(line), "rip=%016llx rflags=%08llx cr2=%016llx", (ull)v->rip,
		     (ull)v->rflags, (ull)hv_backend->reg_get(v, HV_REG_CR2));
	emit(ctx, line);
	for (unsigned int i = 0; i < GPR_COUNT; i += 4) {
		ray_snprintf(line, sizeof(line), "%3s=%016llx %3s=%016llx %3s=%016llx %3s=%016llx",
			     names[i], (ull)v->gpr[i], names[i + 1], (ull)v->gpr[i + 1],
			     names[i + 2], (ull)v->gpr[i + 2], names[i + 3], (ull)v->gpr[i + 3]);
		emit(ctx, line);
	}
}

static void dump_system(struct vcpu *v, emit_fn emit, void *ctx)
{
	static const struct {
		const char *name;
		enum hv_reg reg;
	} list[] = {
		{ "cr0", HV_REG_CR0 },     { "cr3", HV_REG_CR3 },
		{ "cr4", HV_REG_CR4 },     { "efer", HV_REG_EFER },
		{ "dr6", HV_REG_DR6 },     { "dr7", HV_REG_DR7 },
		{ "star", HV_REG_STAR },   { "lstar", HV_REG_LSTAR },
		{ "kgs", HV_REG_KERNEL_GS_BASE },
		{ "shadow", HV_REG_INTR_SHADOW },
		{ "nmi_blocked", HV_REG_NMI_BLOCKED },
	};
	char line[256];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		n += ray_scnprintf(line + n, sizeof(line) - n, "%s%s=%llx", n ? " " : "",
				   list[i].name, (ull)hv_backend->reg_get(v, list[i].reg));
	emit(ctx, line);
}

static void dump_segments(struct vcpu *v, emit_fn emit, void *ctx)
{
	static const char *const names[HV_SEG_COUNT] = { "es", "cs",   "ss", "ds",   "fs",
							 "gs", "ldtr", "tr", "gdtr", "idtr" };
	char line[128];

	for (unsigned int s = 0; s < HV_SEG_COUNT; s++) {
		struct hv_segment seg;

		hv_backend->seg_get(v, (enum hv_seg)s, &seg);
		ray_snprintf(line, sizeof(line), "%-4s sel=%04x attr=%05x limit=%08x base=%016llx",
			     names[s], seg.selector, seg.attr, seg.limit, (ull)seg.base);
		emit(ctx, line);
	}
}

void vcpu_dump(struct vcpu *v, emit_fn emit, void *ctx)
{
	dump_gprs(v, emit, ctx);
	dump_system(v, emit, ctx);
	dump_segments(v, emit, ctx);
	hv_backend->dump(v, emit, ctx);
}

static void to_log(void *ctx, const char *line)
{
	const struct vcpu *v = ctx;

	log_err("%s/%u %s", v->vm->def.name, v->id, line);
}

void vcpu_dump_log(struct vcpu *v)
{
	vcpu_dump(v, to_log, v);
}
