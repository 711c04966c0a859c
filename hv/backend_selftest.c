// SPDX-License-Identifier: Apache-2.0
/*
 * The chosen backend with a guest of a few bytes and nothing of hv/ around it: entry, exits,
 * events and the nested fault, as this machine does them.
 */
#include "hv/backend.h"
#include "hv/gmem.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/percpu.h"
#include "kernel/arch/trap.h"
#include "kernel/irq/irq.h"
#include "kernel/mm/heap.h"
#include "kernel/sched/thread.h"
#include "kernel/selftest.h"

#define CODE  0x500u
#define STACK 0x1000u
#define VECTOR 0x40u
#define HANDLER 0x700u
#define SPIN    0x710u
#define ABSENT 0x2000u /* first address without memory */

/* 16-bit real mode, CS.base 0 */
static const uint8_t code[] = {
	0x0f, 0xa2,             /* 500 cpuid */
	0xe7, 0x80,             /* 502 out %ax, $0x80 */
	0xf4,                   /* 504 hlt */
	0xfb,                   /* 505 sti */
	0x90,                   /* 506 nop: in the shadow of STI */
	0x90,                   /* 507 nop */
	0xf4,                   /* 508 hlt */
	0xc6, 0x06, 0x00, 0x20, /* 509 movb $1, 0x2000 */
	0x01,
	0x0f, 0x01, 0xd9,       /* 50e vmmcall */
};
/* in $0x71, %al; iret */
static const uint8_t handler[] = { 0xe4, 0x71, 0xcf };
static const uint8_t spin[] = { 0xeb, 0xfe }; /* jmp $ */

struct rig {
	struct selftest *t;
	struct vm *vm;
	struct vcpu *v;
};

/* Run until the guest itself causes an exit. Context: IRQs off. */
static enum hv_exit_kind run(struct rig *r)
{
	for (unsigned int i = 0; i < 100; i++) {
		hv_backend->run(r->v);
		if (r->v->exit.kind != HV_EXIT_EXTINT && r->v->exit.kind != HV_EXIT_NMI)
			break;
		irq_window();
	}
	return r->v->exit.kind;
}

static void skip(struct rig *r, unsigned int len)
{
	SELFTEST_CHECK(r->t, r->v->exit.insn_len == 0 || r->v->exit.insn_len == len);
	r->v->rip += len;
	hv_backend->reg_set(r->v, HV_REG_INTR_SHADOW, 0);
}

static void check_instructions(struct rig *r)
{
	struct selftest *t = r->t;
	struct vcpu *v = r->v;

	v->gpr[GPR_R15] = 0x1234567890abcdefull;
	v->gpr[GPR_RAX] = 0x55;
	SELFTEST_CHECK(t, run(r) == HV_EXIT_CPUID);
	SELFTEST_CHECK(t, v->rip == CODE);
	skip(r, 2);
	SELFTEST_CHECK(t, run(r) == HV_EXIT_IO);
	SELFTEST_CHECK(t, r->v->exit.u.io.port == 0x80 && r->v->exit.u.io.size == 2);
	SELFTEST_CHECK(t, !r->v->exit.u.io.in && !r->v->exit.u.io.string);
	SELFTEST_CHECK(t, v->gpr[GPR_RAX] == 0x55 && v->gpr[GPR_RSP] == STACK);
	SELFTEST_CHECK(t, v->gpr[GPR_R15] == 0x1234567890abcdefull);
	skip(r, 2);
	SELFTEST_CHECK(t, run(r) == HV_EXIT_HLT);
	SELFTEST_CHECK(t, !hv_backend->intr_allowed(v));
	skip(r, 1);
}

static void check_interrupt(struct rig *r)
{
	struct selftest *t = r->t;
	struct vcpu *v = r->v;

	hv_backend->intr_window(v, true);
	SELFTEST_CHECK(t, run(r) == HV_EXIT_INTR_WINDOW);
	SELFTEST_CHECK(t, v->rip == CODE + 7); /* not in the shadow of STI */
	SELFTEST_CHECK(t, hv_backend->intr_allowed(v));
	hv_backend->intr_window(v, false);
	v->inject = (struct hv_event){ .valid = true, .type = HV_EVENT_EXTINT, .vector = VECTOR };
	SELFTEST_CHECK(t, run(r) == HV_EXIT_IO);
	SELFTEST_CHECK(t, v->rip == HANDLER && r->v->exit.u.io.in && r->v->exit.u.io.port == 0x71);
	SELFTEST_CHECK(t, v->gpr[GPR_RSP] == STACK - 6 && !v->inject.valid);
	skip(r, 2);
	SELFTEST_CHECK(t, run(r) == HV_EXIT_HLT);
	SELFTEST_CHECK(t, v->rip == CODE + 8 && (v->rflags & HV_RFLAGS_IF));
	skip(r, 1);
}

static void check_nmi(struct rig *r)
{
	struct selftest *t = r->t;
	struct vcpu *v = r->v;
	uint64_t back = v->rip;
	unsigned int tries = 0;

	SELFTEST_CHECK(t, hv_backend->nmi_allowed(v));
	v->inject = (struct hv_event){ .valid = true, .type = HV_EVENT_NMI,
				       .vector = HV_VEC_NMI };
	SELFTEST_CHECK(t, run(r) == HV_EXIT_IO && v->rip == HANDLER);
	SELFTEST_CHECK(t, !hv_backend->nmi_allowed(v));
	hv_backend->nmi_window(v, true);
	skip(r, 2);
	while (!hv_backend->nmi_allowed(v) && tries++ < 4)
		(void)run(r);
	SELFTEST_CHECK(t, v->rip == back); /* open once IRET has completed, not before */
	hv_backend->nmi_window(v, false);
	hv_backend->intr_window(v, false);
}

static void check_nested_fault(struct rig *r)
{
	struct selftest *t = r->t;

	SELFTEST_CHECK(t, run(r) == HV_EXIT_STAGE2);
	SELFTEST_CHECK(t, r->v->exit.u.s2.gpa.v == ABSENT);
	SELFTEST_CHECK(t, r->v->exit.u.s2.access == HV_ACCESS_WRITE);
	r->v->rip += 5;
}

/* --- an NMI of the host's own, from another CPU, while the guest runs --- */

#define NMI_GAP 100000u /* TSC ticks: so many that the guest runs in between */

static struct {
	volatile bool send, stop;
	volatile bool expected;
	volatile uint32_t taken; /* by the CPU that runs the guest */
	uint32_t cpu;
} nmi;

static bool nmi_taken(struct trap_frame *tf)
{
	(void)tf;
	if (nmi.expected && this_cpu()->id == nmi.cpu)
		nmi.taken++;
	return nmi.expected;
}

/* Again and again: one may find the CPU outside the guest. */
static void nmi_sender(void *arg)
{
	(void)arg;
	while (!nmi.stop) {
		uint64_t begin = rdtsc();

		if (nmi.send)
			ipi_nmi_others();
		while (rdtsc() - begin < NMI_GAP)
			cpu_relax();
	}
}

static void check_host_nmi(struct rig *r)
{
	struct selftest *t = r->t;
	struct vcpu *v = r->v;
	uint64_t back = v->rip;

	v->rip = SPIN;
	nmi.cpu = this_cpu()->id;
	nmi.taken = 0;
	nmi.expected = true;
	nmi.send = true;
	do {
		hv_backend->run(v);
		irq_window();
	} while (v->exit.kind == HV_EXIT_EXTINT);
	nmi.send = false;
	SELFTEST_CHECK(t, v->exit.kind == HV_EXIT_NMI);
	SELFTEST_CHECK(t, nmi.taken > 0); /* the host's handler has run, on its stack */
	SELFTEST_CHECK(t, v->rip == SPIN && hv_backend->nmi_allowed(v) && !v->exitint.valid);
	v->rip = back;
}

static void guest_prepare(struct rig *r)
{
	const struct hv_segment cs = { .attr = 0x9b, .limit = 0xffff };
	const uint16_t vector[2] = { HANDLER, 0 };
	struct gmem *m = &r->vm->mem;

	SELFTEST_CHECK(r->t, gmem_load(m, GPA(CODE), code, sizeof(code)) == 0);
	SELFTEST_CHECK(r->t, gmem_load(m, GPA(HANDLER), handler, sizeof(handler)) == 0);
	SELFTEST_CHECK(r->t, gmem_load(m, GPA(SPIN), spin, sizeof(spin)) == 0);
	SELFTEST_CHECK(r->t, gmem_load(m, GPA(VECTOR * 4), vector, sizeof(vector)) == 0);
	SELFTEST_CHECK(r->t, gmem_load(m, GPA(HV_VEC_NMI * 4), vector, sizeof(vector)) == 0);
	hv_backend->vcpu_reset(r->v);
	hv_backend->seg_set(r->v, HV_SEG_CS, &cs);
	r->v->rflags = HV_RFLAGS_RESERVED1;
	r->v->rip = CODE;
	r->v->gpr[GPR_RSP] = STACK;
}

static void guest_run(struct rig *r, bool other_cpu)
{
	uint64_t flags = irq_save();

	hv_backend->load(r->v);
	guest_prepare(r);
	check_instructions(r);
	check_interrupt(r);
	check_nmi(r);
	if (other_cpu)
		check_host_nmi(r);
	check_nested_fault(r);
	hv_backend->unload(r->v);
	irq_restore(flags);
}

/* With a thread on another CPU, where there is one, that can send NMIs. */
static void guest_run_watched(struct rig *r)
{
	static bool handler_added;
	struct thread_attr attr = { .cls = THREAD_CLASS_NORMAL };
	struct thread *sender = NULL;

	if (!handler_added)
		trap_nmi_add(nmi_taken);
	handler_added = true;
	nmi.send = nmi.stop = false;
	if (cpu_count() > 1) {
		attr.cpu = (int)((this_cpu()->id + 1) % cpu_count());
		SELFTEST_CHECK(r->t, thread_create(&sender, "nmi-sender", nmi_sender, NULL, &attr) == 0);
	}
	preempt_disable(); /* or the two might meet on one CPU */
	guest_run(r, sender != NULL && (int)this_cpu()->id != attr.cpu);
	preempt_enable();
	nmi.stop = true;
	if (sender != NULL)
		thread_join(sender);
	nmi.expected = false;
}

static void test_backend(struct selftest *t)
{
	struct rig r = { .t = t };
	struct gmem *m;

	if (!hv_backend)
		return; /* a machine without guests is a machine all the same */
	r.vm = kzalloc(sizeof(*r.vm), MEM_TEST);
	r.v = kzalloc(sizeof(*r.v), MEM_TEST);
	if (!r.vm || !r.v) {
		SELFTEST_CHECK(t, !"memory for a VM");
		goto free;
	}
	m = &r.vm->mem;
	r.v->vm = r.vm;
	if (gmem_init(m, hv_backend->stage2, hv_caps.page_1g)) {
		SELFTEST_CHECK(t, !"memory for nested page tables");
		goto free;
	}
	if (gmem_add(m, GPA(0), ABSENT, GMEM_RAM)) {
		SELFTEST_CHECK(t, !"memory for a guest");
		goto fini_mem;
	}
	msr_map_vm_init(&r.vm->msr_map);
	if (hv_backend->vcpu_init(r.v)) {
		SELFTEST_CHECK(t, !"memory for a vCPU");
	} else {
		guest_run_watched(&r);
		hv_backend->vcpu_fini(r.v);
	}
	msr_map_vm_fini(&r.vm->msr_map);
fini_mem:
	gmem_fini(m);
free:
	kfree(r.v);
	kfree(r.vm);
}

SELFTEST(backend, test_backend);
