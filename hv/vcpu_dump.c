/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU's registers for people, after it did what cannot be continued. */
#include "hv/exit_priv.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#define LOG_TAG "vcpu"
#include "kernel/log.h"

static void emit(void *ctx, const char *line)
{
	const struct vcpu *v = ctx;

	log_err("%s/%u %s", v->vm->def.name, v->id, line);
}

void vcpu_dump_log(struct vcpu *v)
{
	static const char *const names[GPR_COUNT] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp",
						      "rsi", "rdi", "r8",  "r9",  "r10", "r11",
						      "r12", "r13", "r14", "r15" };

	for (unsigned int i = 0; i < GPR_COUNT; i += 4)
		log_err("%s/%u %s=%016lx %s=%016lx %s=%016lx %s=%016lx", v->vm->def.name, v->id,
			names[i], (unsigned long)v->gpr[i], names[i + 1], (unsigned long)v->gpr[i + 1],
			names[i + 2], (unsigned long)v->gpr[i + 2], names[i + 3],
			(unsigned long)v->gpr[i + 3]);
	log_err("%s/%u rip=%016lx rflags=%08lx cr2=%016lx", v->vm->def.name, v->id,
		(unsigned long)v->rip, (unsigned long)v->rflags,
		(unsigned long)hv_backend->reg_get(v, HV_REG_CR2));
	hv_backend->dump(v, emit, v);
}
