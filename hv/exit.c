/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens on each kind of VM exit: one table, no other switch. Port and memory accesses
 * are in exit_io.c, control registers in exit_cr.c.
 */
#include "hv/exit.h"

#include "hv/cpuid.h"
#include "hv/exit_priv.h"
#include "hv/mce.h"
#include "hv/pv.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"

/* An exit that must not happen is this VM's end, never a reason to go on. */
enum hv_disposition exit_unexpected(struct vcpu *v, struct hv_exit *e)
{
	vm_end(v->vm, VM_END_CRASH, "exit-%s vcpu=%u rip=0x%lx code=0x%lx info=0x%lx",
	       hv_exit_name(e->kind), v->id, (unsigned long)v->rip, (unsigned long)e->raw_reason,
	       (unsigned long)e->raw_info[0]);
	return HV_STOP;
}

/* The interrupt that caused the exit is taken here. */
static enum hv_disposition extint_fast(struct vcpu *v, struct hv_exit *e)
{
	(void)v;
	(void)e;
	irq_window();
	return HV_RESUME;
}

static enum hv_disposition to_thread(struct vcpu *v, struct hv_exit *e)
{
	(void)v;
	(void)e;
	return HV_THREAD;
}

/* The backend has let the host's handler run; the guest knows nothing of it. */
static enum hv_disposition resume_fast(struct vcpu *v, struct hv_exit *e)
{
	(void)v;
	(void)e;
	return HV_RESUME;
}

static enum hv_disposition intr_window_fast(struct vcpu *v, struct hv_exit *e)
{
	(void)e;
	hv_backend->intr_window(v, false);
	v->window_on = false;
	return HV_RESUME;
}

static enum hv_disposition nmi_window_fast(struct vcpu *v, struct hv_exit *e)
{
	(void)e;
	hv_backend->nmi_window(v, false);
	v->nmi_window_on = false;
	return HV_RESUME;
}

static void cpuid_answer(struct vcpu *v, const struct cpuid_out *o)
{
	v->gpr[GPR_RAX] = o->eax;
	v->gpr[GPR_RBX] = o->ebx;
	v->gpr[GPR_RCX] = o->ecx;
	v->gpr[GPR_RDX] = o->edx;
}

static __noinline void cpuid_varying(struct vcpu *v)
{
	struct cpuid_out out;

	vcpu_cpuid(v, (uint32_t)v->gpr[GPR_RAX], (uint32_t)v->gpr[GPR_RCX], &out);
	cpuid_answer(v, &out);
}

static enum hv_disposition cpuid_fast(struct vcpu *v, struct hv_exit *e)
{
	const struct cpuid_out *o = cpuid_constant(v->cpuid, (uint32_t)v->gpr[GPR_RAX]);

	if (vcpu_advance(v, e) != 0)
		return HV_RESUME;
	if (likely(o != NULL))
		cpuid_answer(v, o);
	else
		cpuid_varying(v);
	return HV_RESUME;
}

static enum hv_disposition hlt_fast(struct vcpu *v, struct hv_exit *e)
{
	if (vcpu_advance(v, e) != 0)
		return HV_RESUME;
	v->halt_count++;
	v->mp = VCPU_MP_HALTED;
	return HV_BLOCK;
}

static enum hv_disposition pause_thread(struct vcpu *v, struct hv_exit *e)
{
	(void)vcpu_advance(v, e); /* a fault is queued for the guest */
	thread_yield();
	return HV_RESUME;
}

/* --- MSRs --- */

static __noinline enum hv_disposition msr_refused(struct vcpu *v)
{
	v->msr_denied++;
	vcpu_inject_gp(v);
	return HV_RESUME;
}

static __force_inline enum hv_disposition msr_read(struct vcpu *v, struct hv_exit *e, bool fast)
{
	uint64_t value = 0;
	int err = vcpu_msr_read(v, (uint32_t)v->gpr[GPR_RCX], &value, fast);

	if (unlikely(err != 0))
		return err == -RAY_EAGAIN && fast ? HV_THREAD : msr_refused(v);
	if (vcpu_advance(v, e) == 0) {
		v->gpr[GPR_RAX] = (uint32_t)value;
		v->gpr[GPR_RDX] = value >> 32;
	}
	return HV_RESUME;
}

static __force_inline enum hv_disposition msr_write(struct vcpu *v, struct hv_exit *e, bool fast)
{
	uint64_t value = (v->gpr[GPR_RDX] << 32) | (uint32_t)v->gpr[GPR_RAX];
	int err = vcpu_msr_write(v, (uint32_t)v->gpr[GPR_RCX], value, fast);

	if (unlikely(err != 0))
		return err == -RAY_EAGAIN && fast ? HV_THREAD : msr_refused(v);
	err = vcpu_advance(v, e);
	(void)err; /* a fault is queued for the guest */
	return HV_RESUME;
}

static __no_stack_guard enum hv_disposition msr_read_fast(struct vcpu *v, struct hv_exit *e)
{
	return msr_read(v, e, true);
}

static enum hv_disposition msr_read_thread(struct vcpu *v, struct hv_exit *e)
{
	return msr_read(v, e, false);
}

static enum hv_disposition msr_write_fast(struct vcpu *v, struct hv_exit *e)
{
	return msr_write(v, e, true);
}

static enum hv_disposition msr_write_thread(struct vcpu *v, struct hv_exit *e)
{
	return msr_write(v, e, false);
}

/* --- exceptions and the rest --- */

/* Intercepted only to stop endless delivery loops: what arrives belongs to the guest. */
static enum hv_disposition exception_fast(struct vcpu *v, struct hv_exit *e)
{
	if (e->u.exc.vector == HV_VEC_PF)
		hv_backend->reg_set(v, HV_REG_CR2, e->u.exc.addr);
	vcpu_inject_exception(v, e->u.exc.vector, e->u.exc.has_error, e->u.exc.error);
	return HV_RESUME;
}

/* The registers are all that tells why, so they go to the log. */
static enum hv_disposition triple_fault_thread(struct vcpu *v, struct hv_exit *e)
{
	(void)e;
	vcpu_dump_log(v);
	vm_end(v->vm, VM_END_CRASH, "triple-fault vcpu=%u rip=0x%lx", v->id, (unsigned long)v->rip);
	return HV_STOP;
}

/* Guest memory is coherent: nothing to write back, and INVD must not lose host data. */
static enum hv_disposition skip_fast(struct vcpu *v, struct hv_exit *e)
{
	int err = vcpu_advance(v, e);

	(void)err;
	return HV_RESUME;
}

static enum hv_disposition ud_fast(struct vcpu *v, struct hv_exit *e)
{
	(void)e;
	vcpu_inject_ud(v);
	return HV_RESUME;
}

static enum hv_disposition gp_fast(struct vcpu *v, struct hv_exit *e)
{
	(void)e;
	vcpu_inject_gp(v);
	return HV_RESUME;
}

static enum hv_disposition entry_failed(struct vcpu *v, struct hv_exit *e)
{
	vcpu_dump_log(v);
	return exit_unexpected(v, e);
}

/* SDM vol. 1, 13.3: x87 always; AVX needs SSE; the three AVX-512 parts go together. */
static bool xcr0_valid(uint64_t x, uint64_t mask)
{
	uint64_t avx512 = x & (BIT(5) | BIT(6) | BIT(7));

	if ((x & BIT(0)) == 0 || (x & ~mask) != 0)
		return false;
	if ((x & BIT(2)) != 0 && (x & BIT(1)) == 0)
		return false;
	return avx512 == 0 || (avx512 == (BIT(5) | BIT(6) | BIT(7)) && (x & BIT(2)) != 0);
}

static enum hv_disposition xsetbv_fast(struct vcpu *v, struct hv_exit *e)
{
	uint64_t value = (v->gpr[GPR_RDX] << 32) | (uint32_t)v->gpr[GPR_RAX];

	if ((uint32_t)v->gpr[GPR_RCX] != 0 || !xcr0_valid(value, v->cpuid->xcr0_mask)) {
		vcpu_inject_gp(v);
	} else if (vcpu_advance(v, e) == 0) {
		v->xcr0 = value;
		xsetbv0(value);
	}
	return HV_RESUME;
}

const struct hv_exit_desc hv_exit_table[HV_EXIT_KIND_COUNT] = {
	[HV_EXIT_EXTINT] = { "extint", extint_fast, NULL },
	[HV_EXIT_NMI] = { "nmi", resume_fast, NULL },
	[HV_EXIT_MCE] = { "machine-check", hv_mce_fast, hv_mce_thread },
	[HV_EXIT_INTR_WINDOW] = { "intr-window", intr_window_fast, NULL },
	[HV_EXIT_NMI_WINDOW] = { "nmi-window", nmi_window_fast, NULL },
	[HV_EXIT_CPUID] = { "cpuid", cpuid_fast, NULL },
	[HV_EXIT_HLT] = { "hlt", hlt_fast, NULL },
	[HV_EXIT_PAUSE] = { "pause", to_thread, pause_thread },
	[HV_EXIT_HYPERCALL] = { "hypercall", exit_hypercall_fast, NULL },
	[HV_EXIT_IO] = { "io", exit_io_fast, exit_io_thread },
	[HV_EXIT_MSR_READ] = { "msr-read", msr_read_fast, msr_read_thread },
	[HV_EXIT_MSR_WRITE] = { "msr-write", msr_write_fast, msr_write_thread },
	[HV_EXIT_STAGE2] = { "stage2", exit_stage2_fast, exit_stage2_thread },
	[HV_EXIT_STAGE2_BROKEN] = { "stage2-broken", to_thread, entry_failed },
	[HV_EXIT_CR] = { "cr", exit_cr_fast, NULL },
	[HV_EXIT_DR] = { "dr", exit_unexpected, NULL },
	[HV_EXIT_EXCEPTION] = { "exception", exception_fast, NULL },
	[HV_EXIT_TRIPLE_FAULT] = { "triple-fault", to_thread, triple_fault_thread },
	[HV_EXIT_INIT] = { "init", exit_unexpected, NULL },
	[HV_EXIT_CACHE] = { "cache", skip_fast, NULL },
	[HV_EXIT_XSETBV] = { "xsetbv", xsetbv_fast, NULL },
	[HV_EXIT_RDPMC] = { "rdpmc", gp_fast, NULL },
	[HV_EXIT_MONITOR] = { "monitor", ud_fast, NULL },
	[HV_EXIT_VIRT_INSN] = { "virt-insn", ud_fast, NULL },
	[HV_EXIT_TASK_SWITCH] = { "task-switch", exit_unexpected, NULL },
	[HV_EXIT_PREEMPT_TIMER] = { "preempt-timer", resume_fast, NULL },
	[HV_EXIT_ENTRY_FAILED] = { "entry-failed", to_thread, entry_failed },
	[HV_EXIT_UNKNOWN] = { "unknown", to_thread, entry_failed },
};

const char *hv_exit_name(enum hv_exit_kind kind)
{
	return (unsigned int)kind < HV_EXIT_KIND_COUNT ? hv_exit_table[kind].name : "?";
}
