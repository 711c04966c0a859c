/* UNIT: hv/svm/svm_exit.c hv/svm/svm_asid.c hv/svm/svm_dump.c hv/svm/svm_npt.c
 * hv/svm/svm_regs.c hv/svm/svm_run.c kernel/arch/mitigate.c kernel/lib/fmt.c
 * kernel/lib/sink.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * The SVM backend without SVM: exit decoding, events, ASIDs, NPT entries and registers as
 * plain data, and svm_run() around a scripted svm_enter().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hv/run_loop.h"
#include "hv/stage2.h"
#include "hv/svm/svm_exit.h"
#include "hv/svm/svm_insn.h"
#include "hv/svm/svm_priv.h"
#include "hv/vcpu.h"
#include "hv/virq.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/mitigate.h"
#include "kernel/arch/msr_index.h"

struct hv_caps hv_caps;
/* Of hv_run_loop(), which tests of whole vCPUs drive. */
const struct hv_exit_desc hv_exit_table[HV_EXIT_KIND_COUNT];

void vcpu_events_prepare(struct vcpu *v)
{
	(void)v;
}
struct svm_features svm_features;
static unsigned int looks_again;

void lapic_look_again(void)
{
	looks_again++;
}


static struct svm_vmcb vmcb;
static struct svm_vcpu sv;
static struct vcpu vcpu;
static struct hv_exit *const ex = &vcpu.exit;
static int tpr_blocked;
static unsigned int mces;
static unsigned int renewed;
/* What the scripted CPU does between entry and exit. */
static void (*guest)(void);

void test_svm_enter(struct vcpu *v, uint64_t vmcb_pa, uint64_t host_pa)
{
	assert_ptr_equal(v, &vcpu);
	assert_int_equal(vmcb_pa, 0x1000);
	assert_int_equal(host_pa, 0x2000);
	vmcb.exit_int_info = 0;
	guest();
}

void svm_asid_renew(struct svm_vcpu *s)
{
	assert_ptr_equal(s, &sv);
	renewed++;
}

void test_svm_host_mce(void)
{
	mces++;
}

void vlapic_cr8_set(struct vcpu *v, uint64_t value)
{
	assert_ptr_equal(v, &vcpu);
	vcpu.cr8 = (uint8_t)value;
}

int vlapic_tpr_blocked(struct vcpu *v)
{
	assert_ptr_equal(v, &vcpu);
	return tpr_blocked;
}

static int setup(void **state)
{
	(void)state;
	memset(&vmcb, 0, sizeof(vmcb));
	memset(&sv, 0, sizeof(sv));
	memset(&vcpu, 0, sizeof(vcpu));
	memset(ex, 0xa5, sizeof(ex));
	memset(&hv_caps, 0, sizeof(hv_caps));
	memset(&svm_features, 0, sizeof(svm_features));
	sv.vmcb = &vmcb;
	sv.vmcb_pa = 0x1000;
	sv.host_pa = 0x2000;
	vcpu.svm = &sv;
	vcpu.rflags = HV_RFLAGS_RESERVED1 | HV_RFLAGS_IF;
	vcpu.rip = 0x1000;
	tpr_blocked = -1;
	mces = 0;
	renewed = 0;
	return 0;
}

static void decode(uint64_t code, uint64_t info1, uint64_t info2)
{
	vmcb.exit_code = code;
	vmcb.exit_info1 = info1;
	vmcb.exit_info2 = info2;
	(void)svm_exit_decode(&vmcb, &hv_caps, ex);
}

static void test_decode_kinds(void **state)
{
	static const struct {
		uint64_t code;
		enum hv_exit_kind kind;
	} cases[] = {
		{ 0x60, HV_EXIT_EXTINT },    { 0x61, HV_EXIT_NMI },
		{ 0x63, HV_EXIT_INIT },      { 0x64, HV_EXIT_INTR_WINDOW },
		{ 0x72, HV_EXIT_CPUID },     { 0x74, HV_EXIT_NMI_WINDOW },
		{ 0x76, HV_EXIT_CACHE },     { 0x77, HV_EXIT_PAUSE },
		{ 0x78, HV_EXIT_HLT },       { 0x7d, HV_EXIT_TASK_SWITCH },
		{ 0x7f, HV_EXIT_TRIPLE_FAULT }, { 0x80, HV_EXIT_VIRT_INSN },
		{ 0x81, HV_EXIT_HYPERCALL }, { 0x86, HV_EXIT_VIRT_INSN },
		{ 0x89, HV_EXIT_CACHE },     { 0x8b, HV_EXIT_MONITOR },
		{ 0x8d, HV_EXIT_XSETBV },    { 0x52, HV_EXIT_MCE },
		{ 0x6e, HV_EXIT_UNKNOWN },   { 0x75, HV_EXIT_UNKNOWN },
		{ 0x87, HV_EXIT_UNKNOWN },   { 0x8f, HV_EXIT_UNKNOWN },
		{ 0x401, HV_EXIT_UNKNOWN },  { 0x3ff, HV_EXIT_UNKNOWN },
		{ UINT64_MAX, HV_EXIT_ENTRY_FAILED }, { UINT64_MAX - 1, HV_EXIT_UNKNOWN },
		{ 1ull << 40 | 0x72, HV_EXIT_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		decode(cases[i].code, 0, 0);
		assert_int_equal(ex->kind, cases[i].kind);
		if (ex->kind == HV_EXIT_UNKNOWN || ex->kind == HV_EXIT_ENTRY_FAILED)
			assert_true(ex->raw_reason == cases[i].code);
	}
	/* No hole of the table reads as kind 0. */
	for (uint64_t code = 0; code < 0x500; code++) {
		decode(code, 0, 0);
		assert_true(ex->kind != HV_EXIT_EXTINT || code == 0x60 || code == 0x62);
		assert_true(ex->kind < HV_EXIT_KIND_COUNT);
	}
}

static void test_decode_length(void **state)
{
	(void)state;
	vmcb.rip = 0x1000;
	vmcb.nrip = 0x1003;
	decode(SVM_EXIT_CPUID, 0, 0);
	assert_int_equal(ex->insn_len, 3);
	decode(SVM_EXIT_DR_READ + 7, 0, 0);
	assert_int_equal(ex->insn_len, 3);
	/* Not an instruction: nRIP is whatever was there. */
	decode(SVM_EXIT_NPF, 0, 0x5000);
	assert_int_equal(ex->insn_len, 0);
	decode(SVM_EXIT_EXCEPTION + HV_VEC_AC, 0, 0);
	assert_int_equal(ex->insn_len, 0);
	vmcb.nrip = 0x1010;
	decode(SVM_EXIT_CPUID, 0, 0);
	assert_int_equal(ex->insn_len, 0);
	vmcb.nrip = 0;
	decode(SVM_EXIT_CPUID, 0, 0);
	assert_int_equal(ex->insn_len, 0);
	/* A CPU without nRIP, wherever it stands. */
	vmcb.nrip = SVM_NRIP_NONE;
	for (uint64_t rip = 0; rip < 32; rip++) {
		vmcb.rip = rip - 16;
		decode(SVM_EXIT_CPUID, 0, 0);
		assert_int_equal(ex->insn_len, 0);
	}
}

static void test_decode_io(void **state)
{
	(void)state;
	vmcb.rip = 0xffff;
	decode(SVM_EXIT_IOIO, (0x3f8u << 16) | (1u << 4) | 1u, 0x10001);
	assert_int_equal(ex->kind, HV_EXIT_IO);
	assert_int_equal(ex->u.io.port, 0x3f8);
	assert_int_equal(ex->u.io.size, 1);
	assert_true(ex->u.io.in);
	assert_false(ex->u.io.string);
	assert_int_equal(ex->insn_len, 2);
	decode(SVM_EXIT_IOIO, (0xcfcu << 16) | (4u << 4) | (1u << 2) | (1u << 3), 0x10002);
	assert_int_equal(ex->u.io.size, 4);
	assert_false(ex->u.io.in);
	assert_true(ex->u.io.string);
	assert_true(ex->u.io.rep);
	assert_int_equal(ex->insn_len, 3);
}

static void test_decode_msr_and_npf(void **state)
{
	(void)state;
	decode(SVM_EXIT_MSR, 0, 0);
	assert_int_equal(ex->kind, HV_EXIT_MSR_READ);
	decode(SVM_EXIT_MSR, 1, 0);
	assert_int_equal(ex->kind, HV_EXIT_MSR_WRITE);
	decode(SVM_EXIT_NPF, 1ull << 32 | 1u << 2, 0xfee00080);
	assert_int_equal(ex->kind, HV_EXIT_STAGE2);
	assert_true(ex->u.s2.gpa.v == 0xfee00080);
	assert_int_equal(ex->u.s2.access, HV_ACCESS_READ);
	assert_false(ex->u.s2.gva_valid);
	decode(SVM_EXIT_NPF, 1ull << 33 | 1u << 1, 0);
	assert_int_equal(ex->u.s2.access, HV_ACCESS_WRITE | HV_ACCESS_PTWALK);
	decode(SVM_EXIT_NPF, 1u << 4, 0);
	assert_int_equal(ex->u.s2.access, HV_ACCESS_EXEC);
	assert_int_equal(ex->insn_bytes_len, 0);
	decode(SVM_EXIT_NPF, 1u << 3, 0);
	assert_int_equal(ex->kind, HV_EXIT_STAGE2_BROKEN);

	hv_caps.decode_assists = true;
	vmcb.insn_len = 15;
	memset(vmcb.insn, 0x90, sizeof(vmcb.insn));
	decode(SVM_EXIT_NPF, 1u << 1, 0);
	assert_int_equal(ex->insn_bytes_len, 15);
	assert_int_equal(ex->insn_bytes[14], 0x90);
	/* The next exit does not show them again. */
	decode(SVM_EXIT_CPUID, 0, 0);
	assert_int_equal(ex->insn_bytes_len, 0);
}

static void test_decode_exception_and_cr(void **state)
{
	(void)state;
	decode(SVM_EXIT_EXCEPTION + HV_VEC_AC, 0, 0);
	assert_int_equal(ex->u.exc.vector, HV_VEC_AC);
	assert_true(ex->u.exc.has_error);
	decode(SVM_EXIT_EXCEPTION + HV_VEC_DB, 0, 0);
	assert_false(ex->u.exc.has_error);
	decode(SVM_EXIT_EXCEPTION + HV_VEC_PF, 7, 0x1234);
	assert_int_equal(ex->u.exc.error, 7);
	assert_int_equal(ex->u.exc.addr, 0x1234);
	decode(SVM_EXIT_CR_WRITE + 8, SVM_CR_IS_MOV | 5, 0);
	assert_int_equal(ex->u.cr.cr, 8);
	assert_int_equal(ex->u.cr.gpr, 5);
	assert_true(ex->u.cr.write);
	decode(SVM_EXIT_DR_READ + 7, 3, 0);
	assert_int_equal(ex->u.dr.dr, 7);
	assert_int_equal(ex->u.dr.gpr, 3);
	assert_false(ex->u.dr.write);
}

static void test_events(void **state)
{
	struct hv_event ev = { .valid = true, .type = HV_EVENT_EXCEPTION, .vector = HV_VEC_PF,
			       .has_error = true, .error = 0xdeadbeef };
	struct hv_event back;

	(void)state;
	assert_true(svm_event_encode(&ev) == 0xdeadbeef80000b0eull);
	assert_true(svm_event_decode(svm_event_encode(&ev), &back));
	assert_memory_equal(&ev, &back, sizeof(ev));
	ev = (struct hv_event){ .valid = true, .type = HV_EVENT_EXTINT, .vector = 0x40 };
	assert_true(svm_event_encode(&ev) == 0x80000040ull);
	ev.type = HV_EVENT_SW_EXCEPTION;
	assert_true(svm_event_encode(&ev) == 0x80000340ull);
	assert_false(svm_event_decode(0x40, &back));
	assert_false(svm_event_decode(0x80000480, &back)); /* INT 0x80 */
	assert_false(svm_event_decode(0x80000303, &back)); /* INT3 */
	assert_true(svm_event_decode(0x80000202, &back));
	assert_int_equal(back.type, HV_EVENT_NMI);
}

static void test_asids_never_shared(void **state)
{
	struct svm_asid_pool p;
	bool flush;
	uint64_t generation;

	(void)state;
	svm_asid_init(&p, 4);
	assert_int_equal(svm_asid_take(&p, &flush), 1);
	assert_true(flush);
	generation = p.generation;
	assert_true(generation != 0);
	assert_int_equal(svm_asid_take(&p, &flush), 2);
	assert_false(flush);
	assert_int_equal(svm_asid_take(&p, &flush), 3);
	assert_false(flush);
	assert_true(p.generation == generation);
	assert_int_equal(svm_asid_take(&p, &flush), 1);
	assert_true(flush);
	assert_true(p.generation != generation);
	/* The smallest CPU: every take flushes. */
	svm_asid_init(&p, 2);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(svm_asid_take(&p, &flush), 1);
		assert_true(flush);
	}
}

static void test_npt_entries(void **state)
{
	const struct stage2_format *f = &svm_npt_format;
	uint64_t e;

	(void)state;
	e = f->leaf(HPA(0x12345000), STAGE2_RWX, 0);
	assert_true(f->present(e) && f->is_leaf(e, 0));
	assert_int_equal(f->prot(e), STAGE2_RWX);
	assert_true(f->addr(e).v == 0x12345000);
	assert_true(e & 4); /* user */
	assert_false(f->dirty(e));
	assert_true(f->dirty(e | 0x40));
	e = f->leaf(HPA(0x40000000), STAGE2_R, 2);
	assert_true(f->is_leaf(e, 2));
	assert_int_equal(f->prot(e), STAGE2_R);
	assert_true(e >> 63);
	e = f->leaf(HPA(0x200000), STAGE2_W, 1);
	assert_false(f->present(e));
	assert_int_equal(f->prot(e), 0);
	e = f->table(HPA(0x7000));
	assert_true(f->present(e) && !f->is_leaf(e, 1));
	assert_true(f->addr(e).v == 0x7000);
	assert_int_equal(f->prot(e), STAGE2_RWX);
}

static void test_registers(void **state)
{
	struct hv_segment seg = { .base = 5, .limit = 0xffffffff, .selector = 0x10, .attr = 0xc9b };
	struct hv_segment out;

	(void)state;
	vmcb.clean = SVM_CLEAN_ALL;
	svm_reg_set(&vcpu, HV_REG_EFER, HV_EFER_LME);
	assert_true(vmcb.efer == (HV_EFER_LME | HV_EFER_SVME));
	assert_true(svm_reg_get(&vcpu, HV_REG_EFER) == HV_EFER_LME);
	assert_false(vmcb.clean & SVM_CLEAN_CR);
	for (int r = 0; r < HV_REG_COUNT; r++) {
		uint64_t v = r == HV_REG_INTR_SHADOW || r == HV_REG_NMI_BLOCKED ? 1 : 0x500 + r;

		if (r == HV_REG_EFER)
			v = HV_EFER_LMA;
		svm_reg_set(&vcpu, r, v);
		assert_true(svm_reg_get(&vcpu, r) == v);
	}
	assert_true(vmcb.intercept1 & SVM_I1_IRET); /* NMIs blocked */

	svm_seg_set(&vcpu, HV_SEG_CS, &seg);
	svm_seg_get(&vcpu, HV_SEG_CS, &out);
	assert_memory_equal(&seg, &out, sizeof(seg));
	seg.attr = 0x093 | (3u << 5);
	seg.limit = 0xffff;
	svm_seg_set(&vcpu, HV_SEG_SS, &seg);
	assert_int_equal(vmcb.cpl, 3);
	vmcb.cpl = 0;
	svm_seg_get(&vcpu, HV_SEG_SS, &out);
	assert_int_equal(HV_SEG_ATTR_DPL(out.attr), 0);
	seg.attr = HV_SEG_UNUSABLE;
	svm_seg_set(&vcpu, HV_SEG_FS, &seg);
	assert_int_equal(vmcb.fs.attr, 0);
	svm_seg_get(&vcpu, HV_SEG_FS, &out);
	assert_true(out.attr & HV_SEG_UNUSABLE);
	seg.attr = 0x89; /* available TSS */
	svm_seg_set(&vcpu, HV_SEG_TR, &seg);
	assert_int_equal(vmcb.tr.attr, 0x8b);
}

static void guest_cpuid(void)
{
	assert_int_equal(vmcb.rax, 7);
	assert_int_equal(vmcb.rsp, 0x8000);
	assert_int_equal(vmcb.rip, 0x1000);
	vmcb.exit_code = SVM_EXIT_CPUID;
	vmcb.rax = 9;
	vmcb.rip = 0x1010;
	vmcb.cr2 = 0x77;
	vmcb.v_tpr = 5;
}

static void test_run_carries_state(void **state)
{
	(void)state;
	guest = guest_cpuid;
	vcpu.gpr[GPR_RAX] = 7;
	vcpu.gpr[GPR_RSP] = 0x8000;
	svm_reg_set(&vcpu, HV_REG_CR2, 0x55);
	assert_int_equal(vmcb.cr2, 0x55);
	vmcb.clean = SVM_CLEAN_ALL;
	svm_run(&vcpu);
	assert_int_equal(ex->kind, HV_EXIT_CPUID);
	assert_int_equal(vcpu.gpr[GPR_RAX], 9);
	assert_int_equal(vcpu.rip, 0x1010);
	assert_int_equal(svm_reg_get(&vcpu, HV_REG_CR2), 0x77);
	assert_int_equal(vcpu.cr8, 5);
	assert_false(vcpu.exitint.valid);
	assert_int_equal(vmcb.clean, SVM_CLEAN_ALL);
}

static char said[1024];

static void collect(void *ctx, const char *line)
{
	(void)ctx;
	strcat(said, line);
	strcat(said, "\n");
}

static void test_dump_names_the_exit(void **state)
{
	(void)state;
	vmcb.exit_code = SVM_EXIT_NPF;
	vmcb.exit_info2 = 0xfee00000;
	vmcb.tsc_offset = 0x123;
	said[0] = '\0';
	svm_dump(&vcpu, collect, NULL);
	assert_non_null(strstr(said, "exit=400 info1=0 info2=fee00000"));
	assert_non_null(strstr(said, "tsc_offset=123\n"));
}

static void guest_npf_in_delivery(void)
{
	assert_true(vmcb.event_inj == 0x80000040ull);
	vmcb.exit_code = SVM_EXIT_NPF;
	vmcb.exit_int_info = vmcb.event_inj;
}

static void guest_quiet(void)
{
	assert_true(vmcb.event_inj == 0);
	vmcb.exit_code = SVM_EXIT_INTR;
}

static void test_run_event_cut_short(void **state)
{
	(void)state;
	guest = guest_npf_in_delivery;
	vcpu.inject = (struct hv_event){ .valid = true, .type = HV_EVENT_EXTINT, .vector = 0x40 };
	svm_run(&vcpu);
	assert_false(vcpu.inject.valid);
	assert_true(vcpu.exitint.valid);
	assert_int_equal(vcpu.exitint.vector, 0x40);
	guest = guest_quiet;
	vcpu.exitint.valid = false;
	svm_run(&vcpu);
	assert_false(vcpu.exitint.valid);
	assert_int_equal(ex->kind, HV_EXIT_EXTINT);
}

static void guest_sti(void)
{
	vmcb.exit_code = SVM_EXIT_INTR;
	vmcb.int_state = SVM_INT_SHADOW;
	vmcb.rip = 0x1001;
}

/* --- interrupts where EVENTINJ may raise them twice --- */

static bool virq_taken;

static void guest_virq(void)
{
	assert_true(vmcb.event_inj == 0);
	assert_int_equal(vmcb.v_irq, SVM_V_IRQ);
	assert_int_equal(vmcb.v_vector, 0x40);
	assert_false(vmcb.intercept1 & SVM_I1_VINTR);
	assert_int_equal(vmcb.clean & (SVM_CLEAN_I | SVM_CLEAN_TPR), 0);
	if (virq_taken)
		vmcb.v_irq = 0;
	vmcb.exit_code = SVM_EXIT_INTR;
}

static void inject_0x40(void)
{
	svm_features.intr_twice = true;
	vmcb.clean = SVM_CLEAN_ALL;
	guest = guest_virq;
	vcpu.exitint.valid = false;
	vcpu.inject = (struct hv_event){ .valid = true, .type = HV_EVENT_EXTINT, .vector = 0x40 };
	svm_run(&vcpu);
	assert_false(vcpu.inject.valid);
}

static void test_interrupt_as_virq(void **state)
{
	(void)state;
	virq_taken = true;
	looks_again = 0;
	inject_0x40();
	assert_false(vcpu.exitint.valid);
	assert_int_equal(vmcb.v_irq, 0);
	assert_int_equal(sv.extra, 0);
	assert_int_equal(looks_again, 1);
	virq_taken = false;
	inject_0x40();
	assert_true(vcpu.exitint.valid);
	assert_int_equal(vcpu.exitint.type, HV_EVENT_EXTINT);
	assert_int_equal(vcpu.exitint.vector, 0x40);
	assert_int_equal(vmcb.v_irq, 0);
}

static void test_virq_keeps_the_window(void **state)
{
	(void)state;
	svm_intr_window(&vcpu, true);
	virq_taken = true;
	inject_0x40();
	assert_int_equal(vmcb.v_irq, SVM_V_IRQ);
	assert_int_equal(vmcb.v_vector, 0);
	assert_true(vmcb.intercept1 & SVM_I1_VINTR);
}

/* HLT in the shadow of STI, ended by the instruction's emulation: the way of each idle guest. */
static void test_interrupt_as_virq_behind_a_shadow(void **state)
{
	(void)state;
	svm_features.shadow_lost = true;
	guest = guest_sti;
	svm_run(&vcpu);
	svm_reg_set(&vcpu, HV_REG_INTR_SHADOW, 0);
	virq_taken = true;
	inject_0x40();
	assert_int_equal(sv.extra, 0);
}

static void test_intr_window(void **state)
{
	(void)state;
	vmcb.clean = SVM_CLEAN_ALL;
	svm_intr_window(&vcpu, true);
	assert_true(vmcb.v_irq & SVM_V_IRQ);
	assert_true(vmcb.intercept1 & SVM_I1_VINTR);
	assert_int_equal(vmcb.clean & (SVM_CLEAN_I | SVM_CLEAN_TPR), 0);
	svm_intr_window(&vcpu, false);
	assert_int_equal(vmcb.v_irq, 0);
	assert_false(vmcb.intercept1 & SVM_I1_VINTR);
	assert_true(svm_intr_allowed(&vcpu));
	vmcb.int_state = SVM_INT_SHADOW;
	assert_false(svm_intr_allowed(&vcpu));
	vmcb.int_state = 0;
	vcpu.rflags &= ~HV_RFLAGS_IF;
	assert_false(svm_intr_allowed(&vcpu));
}

/* --- the shadow on a CPU whose VMRUN forgets it --- */

static void guest_before_step(void)
{
	assert_true(vmcb.rflags & HV_RFLAGS_TF);
	assert_int_equal(vmcb.v_irq, 0);
	vmcb.exit_code = SVM_EXIT_INTR;
}

static void guest_stepped(void)
{
	assert_true(vmcb.rflags & HV_RFLAGS_TF);
	assert_int_equal(vmcb.v_irq, 0);
	vmcb.exit_code = SVM_EXIT_EXCEPTION + HV_VEC_DB;
	vmcb.dr6 = 0xffff4ff0;
	vmcb.int_state = 0;
	vmcb.rip = 0x1002;
}

static void guest_free(void)
{
	assert_false(vmcb.rflags & HV_RFLAGS_TF);
	assert_int_equal(vmcb.v_irq, SVM_V_IRQ);
	vmcb.exit_code = SVM_EXIT_VINTR;
}

static void test_shadow_is_stepped_over(void **state)
{
	(void)state;
	svm_features.shadow_lost = true;
	vmcb.dr6 = 0xffff0ff0;
	guest = guest_sti;
	svm_run(&vcpu);
	assert_true(ex->shadow);
	svm_intr_window(&vcpu, true);
	guest = guest_before_step;
	svm_run(&vcpu);
	assert_int_equal(ex->kind, HV_EXIT_EXTINT);
	assert_false(vcpu.rflags & HV_RFLAGS_TF);
	guest = guest_stepped;
	svm_run(&vcpu);
	assert_false(ex->shadow);
	assert_int_equal(ex->kind, HV_EXIT_INTR_WINDOW);
	assert_false(vcpu.rflags & HV_RFLAGS_TF);
	assert_true(vmcb.dr6 == 0xffff0ff0);
	guest = guest_free;
	svm_run(&vcpu);
	assert_int_equal(sv.extra, 0);
}

static void test_shadow_ended_by_advance(void **state)
{
	(void)state;
	svm_features.shadow_lost = true;
	guest = guest_sti;
	svm_run(&vcpu);
	svm_reg_set(&vcpu, HV_REG_INTR_SHADOW, 0);
	svm_intr_window(&vcpu, true);
	guest = guest_free;
	svm_run(&vcpu);
	assert_int_equal(sv.extra, 0);
}

static void guest_own_step(void)
{
	vmcb.exit_code = SVM_EXIT_EXCEPTION + HV_VEC_DB;
	vmcb.dr6 = 0xffff4ff0;
	vmcb.int_state = 0;
	vmcb.rip = 0x1002;
}

static void test_guests_own_single_step_is_its(void **state)
{
	(void)state;
	svm_features.shadow_lost = true;
	vcpu.rflags |= HV_RFLAGS_TF;
	guest = guest_sti;
	svm_run(&vcpu);
	guest = guest_own_step;
	svm_run(&vcpu);
	assert_int_equal(ex->kind, HV_EXIT_EXCEPTION);
	assert_true(vmcb.dr6 == 0xffff4ff0);
	assert_true(vcpu.rflags & HV_RFLAGS_TF);
}

/* --- NMI blocking --- */

static void guest_iret(void)
{
	assert_true(vmcb.intercept1 & SVM_I1_IRET);
	vmcb.exit_code = SVM_EXIT_IRET;
	vmcb.rip = 0x1001;
}

static void guest_iret_stepped(void)
{
	assert_false(vmcb.intercept1 & SVM_I1_IRET);
	assert_true(vmcb.rflags & HV_RFLAGS_TF);
	vmcb.exit_code = SVM_EXIT_EXCEPTION + HV_VEC_DB;
	vmcb.dr6 = 0xffff4ff0;
	vmcb.rip = 0x9000;
}

static void test_nmi_blocked_until_iret_completes(void **state)
{
	(void)state;
	assert_true(svm_nmi_allowed(&vcpu));
	vcpu.inject = (struct hv_event){ .valid = true, .type = HV_EVENT_NMI, .vector = 2 };
	guest = guest_iret;
	svm_run(&vcpu);
	assert_int_equal(ex->kind, HV_EXIT_NMI_WINDOW);
	assert_false(svm_nmi_allowed(&vcpu));
	svm_nmi_window(&vcpu, true);
	guest = guest_iret_stepped;
	svm_run(&vcpu);
	assert_int_equal(ex->kind, HV_EXIT_INTR_WINDOW);
	assert_true(svm_nmi_allowed(&vcpu));
	assert_int_equal(sv.extra, 0);
}

static void test_exception_before_iret_step(void **state)
{
	(void)state;
	vcpu.inject = (struct hv_event){ .valid = true, .type = HV_EVENT_NMI, .vector = 2 };
	guest = guest_iret;
	svm_run(&vcpu);
	/* A fault is delivered first: wait for the next IRET, with a clean frame. */
	vcpu.inject = (struct hv_event){ .valid = true, .type = HV_EVENT_EXCEPTION, .vector = 6 };
	svm_run(&vcpu);
	assert_false(svm_nmi_allowed(&vcpu));
	guest = guest_iret_stepped;
	svm_run(&vcpu);
	assert_true(svm_nmi_allowed(&vcpu));
}

static void guest_flush_asid(void)
{
	assert_int_equal(vmcb.tlb_control, SVM_TLB_FLUSH_ASID);
	vmcb.exit_code = SVM_EXIT_INTR;
}

static void guest_no_flush(void)
{
	assert_int_equal(vmcb.tlb_control, SVM_TLB_NONE);
	vmcb.exit_code = SVM_EXIT_INTR;
}

static void test_flush_lasts_one_entry(void **state)
{
	(void)state;
	svm_features.flush_by_asid = true;
	sv.extra = SVM_EXTRA_FLUSH;
	guest = guest_flush_asid;
	svm_run(&vcpu);
	guest = guest_no_flush;
	svm_run(&vcpu);
	assert_int_equal(renewed, 0);
	svm_features.flush_by_asid = false;
	sv.extra = SVM_EXTRA_FLUSH;
	svm_run(&vcpu);
	assert_int_equal(renewed, 1);
	svm_run(&vcpu);
	assert_int_equal(renewed, 1);
}

static void guest_mce(void)
{
	vmcb.exit_code = SVM_EXIT_EXCEPTION + HV_VEC_MC;
}

static void test_machine_check_goes_to_the_host(void **state)
{
	(void)state;
	guest = guest_mce;
	svm_run(&vcpu);
	assert_int_equal(ex->kind, HV_EXIT_MCE);
	assert_int_equal(mces, 1);
}

/* --- CR8 --- */

static void guest_raises_cr8(void)
{
	assert_false(vmcb.intercept_cr);
	vmcb.v_tpr = 9;
	vmcb.exit_code = SVM_EXIT_INTR;
}

static void guest_lowers_cr8(void)
{
	assert_int_equal(vmcb.intercept_cr, SVM_INTERCEPT_CR8_WRITE);
	vmcb.exit_code = SVM_EXIT_CR_WRITE + 8;
}

static void guest_cr8_stepped(void)
{
	assert_false(vmcb.intercept_cr);
	assert_true(vmcb.rflags & HV_RFLAGS_TF);
	vmcb.v_tpr = 0;
	vmcb.exit_code = SVM_EXIT_EXCEPTION + HV_VEC_DB;
	vmcb.dr6 = 0xffff4ff0;
	vmcb.rip += 4;
}

static void guest_cr8_free(void)
{
	assert_false(vmcb.intercept_cr);
	assert_false(vmcb.rflags & HV_RFLAGS_TF);
	vmcb.exit_code = SVM_EXIT_INTR;
}

static void test_cr8_seen_when_it_matters(void **state)
{
	(void)state;
	guest = guest_raises_cr8;
	svm_run(&vcpu);
	assert_int_equal(vcpu.cr8, 9);
	guest = guest_cr8_free; /* nothing kept out: writes are free */
	svm_run(&vcpu);
	tpr_blocked = 0x41;
	guest = guest_lowers_cr8;
	svm_run(&vcpu);
	assert_int_equal(ex->kind, HV_EXIT_INTR_WINDOW);
	guest = guest_cr8_stepped;
	svm_run(&vcpu);
	assert_int_equal(ex->kind, HV_EXIT_INTR_WINDOW);
	assert_int_equal(vcpu.cr8, 0);
	tpr_blocked = -1;
	guest = guest_cr8_free;
	svm_run(&vcpu);
	assert_int_equal(sv.extra, 0);
}

static void guest_refused(void)
{
	vmcb.exit_code = SVM_EXIT_INVALID;
}

static void test_refused_entry_forgets_the_cache(void **state)
{
	(void)state;
	guest = guest_refused;
	svm_run(&vcpu);
	assert_int_equal(ex->kind, HV_EXIT_ENTRY_FAILED);
	assert_int_equal(vmcb.clean, 0);
}

#define T(fn) cmocka_unit_test_setup(fn, setup)

static uint64_t seen_spec_ctrl;

static void guest_sees_spec_ctrl(void)
{
	seen_spec_ctrl = rdmsr(MSR_SPEC_CTRL);
	vmcb.exit_code = 0x72;
}

static void test_spec_ctrl_is_switched_where_it_differs(void **state)
{
	(void)state;
	guest = guest_sees_spec_ctrl;
	mitigations.host_spec_ctrl = 1;
	wrmsr(MSR_SPEC_CTRL, 1);
	sv.spec_ctrl = 5;
	sv.extra = SVM_EXTRA_SPEC_CTRL;
	for (int i = 0; i < 2; i++) {
		seen_spec_ctrl = 0;
		svm_run(&vcpu);
		assert_int_equal(seen_spec_ctrl, 5);
		assert_int_equal(rdmsr(MSR_SPEC_CTRL), 1);
	}
	sv.extra = 0;
	svm_run(&vcpu);
	assert_int_equal(seen_spec_ctrl, 1);
	mitigations.host_spec_ctrl = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_decode_kinds),
		T(test_decode_length),
		T(test_decode_io),
		T(test_decode_msr_and_npf),
		T(test_decode_exception_and_cr),
		T(test_events),
		T(test_asids_never_shared),
		T(test_npt_entries),
		T(test_registers),
		T(test_run_carries_state),
		T(test_dump_names_the_exit),
		T(test_run_event_cut_short),
		T(test_intr_window),
		T(test_interrupt_as_virq),
		T(test_virq_keeps_the_window),
		T(test_interrupt_as_virq_behind_a_shadow),
		T(test_shadow_is_stepped_over),
		T(test_shadow_ended_by_advance),
		T(test_guests_own_single_step_is_its),
		T(test_nmi_blocked_until_iret_completes),
		T(test_exception_before_iret_step),
		T(test_flush_lasts_one_entry),
		T(test_machine_check_goes_to_the_host),
		T(test_cr8_seen_when_it_matters),
		T(test_refused_entry_forgets_the_cache),
		T(test_spec_ctrl_is_switched_where_it_differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
