/* UNIT: hv/access.c hv/cpuid.c hv/decode.c hv/emulate.c hv/mov.c hv/event.c hv/exit.c
 * hv/exit_cr.c hv/exit_io.c hv/gbus.c hv/gmem.c hv/gmem_back.c hv/vcpu_mem.c hv/gwalk.c hv/hv.c
 * hv/xsave_check.c hv/insn.c kernel/module.c hv/msr.c hv/msr_map.c hv/platform.c hv/pv.c
 * hv/stage2.c hv/vcpu.c hv/vcpu_dump.c hv/vcpu_life.c hv/vcpu_state.c hv/vdev.c hv/vm.c
 * hv/vm_build.c hv/vm_conf.c hv/seed.c hv/vm_life.c kernel/marker_value.c hv/vm_state.c
 * hv/mce.c hv/irqchip/vioapic.c hv/irqchip/virq.c hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c
 * hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c hv/irqchip/vlapic_timer.c hv/irqchip/vpic.c
 * hv/loader/load.c hv/loader/bzimage.c hv/loader/elf.c hv/loader/elf_guest.c hv/loader/e820.c
 * tests/host/fake_backend.c kernel/lib/ini.c kernel/lib/utf8.c kernel/lib/nearest.c
 * kernel/lib/parse.c kernel/lib/table.c kernel/lib/json.c kernel/lib/fmt.c kernel/lib/sink.c
 * kernel/lib/err.c
 */
// SPDX-License-Identifier: Apache-2.0
/* Each kind of exit, handled as the vCPU loop does, and what the guest finds afterwards. */
#include "hv/cpuid.h"
#include "hv/msr.h"
#include "hv/pv.h"
#include "hv/vcpu_priv.h"
#include "tests/host/fake_vm.h"

static enum hv_disposition handle(struct hv_exit e)
{
	const struct hv_exit_desc *d = &hv_exit_table[e.kind];
	enum hv_disposition r = d->fast ? d->fast(v, &e) : HV_THREAD;

	if (r == HV_THREAD && d->thread)
		r = d->thread(v, &e);
	return r;
}

/* Was an exception queued? Takes it off again. */
static int faulted(void)
{
	int vector = v->inject.valid ? v->inject.vector : -1;

	v->inject.valid = false;
	return vector;
}

static uint32_t guest_cpuid(uint32_t leaf, uint32_t sub, enum hv_gpr which)
{
	v->gpr[GPR_RAX] = leaf;
	v->gpr[GPR_RCX] = sub;
	v->rip = 0x1000;
	assert_int_equal(handle((struct hv_exit){ .kind = HV_EXIT_CPUID, .insn_len = 2 }), HV_RESUME);
	assert_int_equal(v->rip, 0x1002);
	return (uint32_t)v->gpr[which];
}

static void cpuid_shows_the_guest_s_machine(void **state)
{
	(void)state;
	assert_int_equal(guest_cpuid(0, 0, GPR_RAX), 0x16);
	assert_int_equal(guest_cpuid(1, 0, GPR_RBX) & 0xffff00ff, 2 << 16);
	assert_true(guest_cpuid(1, 0, GPR_RCX) & BIT(31));
	assert_false(guest_cpuid(1, 0, GPR_RCX) & (BIT(5) | BIT(3) | BIT(27))); /* VMX, MONITOR, OSXSAVE */
	hv_backend->reg_set(v, HV_REG_CR4, HV_CR4_OSXSAVE);
	assert_true(guest_cpuid(1, 0, GPR_RCX) & BIT(27));
	assert_true(guest_cpuid(1, 0, GPR_RDX) & BIT(28));
	assert_int_equal(guest_cpuid(4, 1, GPR_RAX) >> 26, 1);
	assert_int_equal(guest_cpuid(4, 3, GPR_RAX), 0);
	assert_false(guest_cpuid(7, 0, GPR_RBX) & (BIT(2) | BIT(4) | BIT(11))); /* SGX, HLE, RTM */
	assert_int_equal(guest_cpuid(7, 1, GPR_RBX), 0);
	assert_int_equal(guest_cpuid(0xb, 0, GPR_RBX), 1);
	assert_int_equal(guest_cpuid(0xb, 1, GPR_RBX), 2);
	assert_int_equal(guest_cpuid(0xb, 9, GPR_RDX), 0);
	assert_int_equal(guest_cpuid(0xd, 0, GPR_RAX), 7);
	assert_int_equal(guest_cpuid(0xd, 0, GPR_RCX), 824);
	v->xcr0 = 3;
	assert_int_equal(guest_cpuid(0xd, 0, GPR_RBX), 576);
	assert_int_equal(guest_cpuid(0xd, 1, GPR_RAX), 7); /* no XSAVES */
	assert_true(hv_xsavec_usable());
	assert_int_equal(guest_cpuid(0xd, 1, GPR_RBX), 576);
	v->xcr0 = 7;
	assert_int_equal(guest_cpuid(0xd, 1, GPR_RBX), 824);
	v->xcr0 = 0x27; /* the second one is aligned to 64 bytes */
	assert_int_equal(guest_cpuid(0xd, 1, GPR_RBX), 896);
	assert_int_equal(guest_cpuid(0xd, 0, GPR_RBX), 1152);
	v->xcr0 = 3;
	assert_int_equal(guest_cpuid(0x40000000, 0, GPR_RBX), 0x4b4d564b);
	assert_true(guest_cpuid(0x40000001, 0, GPR_RAX) & PV_FEATURE_CLOCKSOURCE2);
	assert_int_equal(guest_cpuid(0x40000010, 0, GPR_RAX), 2500000);
	assert_int_equal(guest_cpuid(0x40000011, 0, GPR_RAX), 0);
	assert_false(guest_cpuid(0x80000001, 0, GPR_RCX) & BIT(2)); /* SVM */
	assert_int_equal(guest_cpuid(0x80000007, 0, GPR_RDX), BIT(8));
	assert_int_equal(guest_cpuid(0x80000008, 0, GPR_RAX) & 0xff, 0x30);
	assert_int_equal(guest_cpuid(0x8fffffff, 0, GPR_RAX), 0);
	assert_int_equal(guest_cpuid(0x20, 0, GPR_RAX), 0);
	cpuid_model_destroy(v);
	amd = true;
	assert_int_equal(cpuid_model_create(v), 0);
	assert_true(v->cpuid->amd);
	assert_int_equal(guest_cpuid(4, 0, GPR_RAX), 0);
	assert_int_equal(guest_cpuid(0x8000001e, 0, GPR_RAX), 0);
	assert_int_equal(guest_cpuid(0x80000008, 0, GPR_RCX), 1);
}

static int rd(uint32_t msr, uint64_t *value)
{
	v->gpr[GPR_RCX] = msr;
	assert_int_equal(handle((struct hv_exit){ .kind = HV_EXIT_MSR_READ, .insn_len = 2 }), HV_RESUME);
	*value = v->gpr[GPR_RDX] << 32 | (uint32_t)v->gpr[GPR_RAX];
	return faulted();
}

static int wr(uint32_t msr, uint64_t value)
{
	v->gpr[GPR_RCX] = msr;
	v->gpr[GPR_RAX] = (uint32_t)value;
	v->gpr[GPR_RDX] = value >> 32;
	assert_int_equal(handle((struct hv_exit){ .kind = HV_EXIT_MSR_WRITE, .insn_len = 2 }), HV_RESUME);
	return faulted();
}

static void msrs(void **state)
{
	static const struct {
		uint32_t msr;
		uint64_t good, bad; /* bad 0: none */
	} rw[] = {
		{ 0x3b, 5, 0 },                          /* TSC_ADJUST */
		{ 0x174, 8, 0 },                         /* SYSENTER */
		{ 0x175, 0x1000, BIT(50) },
		{ 0x176, 0x1000, BIT(50) },
		{ 0x1a0, 1, 0 },                         /* MISC_ENABLE */
		{ 0x200, 0xc0000006, 0xc0000002 },       /* MTRR_PHYSBASE0 */
		{ 0x201, 0xfffffc000800ull & 0xfffffffff800ull, 1 },
		{ 0x250, 0x0606060606060606ull, 0x0206060606060606ull },
		{ 0x258, 0x0404040404040404ull, 2 },
		{ 0x26f, 0x0505050505050505ull, 3 },
		{ 0x277, 0x0007040600070406ull, 2 },     /* PAT */
		{ 0x2ff, 0xc06, 0x100 },
		{ 0xc0000080, 0x501 & ~0x400ull, BIT(12) }, /* EFER: no SVME */
		{ 0xc0000081, 0x230010, 0 },
		{ 0xc0000082, 0xffff800000000000ull, BIT(50) },
		{ 0xc0000083, 0x1000, BIT(50) },
		{ 0xc0000084, 0x47700, 0 },
		{ 0xc0000100, 0x7000, BIT(50) },         /* FS_BASE */
		{ 0xc0000101, 0x8000, BIT(50) },
		{ 0xc0000102, 0x9000, BIT(50) },
		{ 0xc0000103, 7, BIT(32) },              /* TSC_AUX */
		{ 0x4b564d03, 0x3001, 0x3003 },          /* steal time */
		{ 0x4b564d01, 0x4001, GIB(3) | 1 },      /* clock */
		{ 0x12, 0x4001, ~0ull },
	};
	uint64_t value, denied;

	(void)state;
	v->cpuid->rdtscp = true;
	for (size_t i = 0; i < ARRAY_SIZE(rw); i++) {
		if (wr(rw[i].msr, rw[i].good) != -1 || rd(rw[i].msr, &value) != -1 || value != rw[i].good)
			fail_msg("msr 0x%x: 0x%llx", rw[i].msr, (unsigned long long)value);
		if (rw[i].bad && wr(rw[i].msr, rw[i].bad) != HV_VEC_GP)
			fail_msg("msr 0x%x takes 0x%llx", rw[i].msr, (unsigned long long)rw[i].bad);
	}
	denied = v->msr_denied;
	static const uint32_t unknown[] = { 0x2, 0xc0010117, 0x4b564d02, 0x9999, 0xffffffff };
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		assert_int_equal(rd(unknown[i], &value), HV_VEC_GP);
		assert_int_equal(wr(unknown[i], 1), HV_VEC_GP);
	}
	assert_int_equal(v->msr_denied, denied + 2 * ARRAY_SIZE(unknown));
	static const uint32_t fixed[] = { 0x17, 0x8b, 0x179, 0x17a, 0x3a, 0xfe, 0x1d9 };
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		assert_int_equal(rd(fixed[i], &value), -1);
	assert_int_equal(wr(0x8b, 0), -1);
	assert_int_equal(wr(0x1d9, 1), HV_VEC_GP);
	fake_tsc = 1000;
	assert_int_equal(wr(0x10, 5000), -1);
	fake_tsc = 1500;
	assert_int_equal(rd(0x10, &value), -1);
	assert_int_equal(value, 5500);
	fake_tsc = 0;
	/* LME does not change under paging */
	hv_backend->reg_set(v, HV_REG_CR0, HV_CR0_PE | HV_CR0_PG);
	hv_backend->reg_set(v, HV_REG_EFER, 0);
	assert_int_equal(wr(0xc0000080, HV_EFER_LME), HV_VEC_GP);
	/* AMD's: only on AMD */
	assert_int_equal(rd(0xc0010114, &value), HV_VEC_GP);
	v->cpuid->amd = true;
	assert_int_equal(rd(0xc0010114, &value), -1);
	assert_int_equal(value, BIT(4));
	assert_int_equal(rd(0xc0010015, &value), -1);
	assert_int_equal(wr(0xc0010015, BIT(24)), -1);
	assert_int_equal(wr(0xc0010010, 1), HV_VEC_GP);
	assert_int_equal(rd(0xc0011029, &value), -1);
}

/* Each CPUID bit brings its MSR or its part of one; without any of them there is none. */
static void speculation_msrs_follow_cpuid(void **state)
{
	uint64_t value;

	(void)state;
	v->cpuid->spec_ctrl_mask = 0;
	v->cpuid->ibpb = v->cpuid->has_arch_caps = false;
	assert_int_equal(rd(0x48, &value), HV_VEC_GP);
	assert_int_equal(wr(0x48, 0), HV_VEC_GP);
	assert_int_equal(wr(0x49, 1), HV_VEC_GP);
	assert_int_equal(rd(0x10a, &value), HV_VEC_GP);
	v->cpuid->spec_ctrl_mask = 5;
	assert_int_equal(wr(0x48, 2), HV_VEC_GP);
	assert_int_equal(wr(0x48, 5), -1);
	assert_int_equal(rd(0x48, &value), -1);
	assert_int_equal(value, 5);
	v->cpuid->ibpb = true;
	wrmsr(0x49, 0);
	assert_int_equal(wr(0x49, 0), -1);
	assert_int_equal(rdmsr(0x49), 0);
	assert_int_equal(wr(0x49, 3), HV_VEC_GP);
	assert_int_equal(wr(0x49, 1), -1);
	assert_int_equal(rdmsr(0x49), 1);
	assert_int_equal(rd(0x49, &value), HV_VEC_GP); /* write-only */
	v->cpuid->has_arch_caps = true;
	v->cpuid->arch_caps = 0x2b;
	assert_int_equal(rd(0x10a, &value), -1);
	assert_int_equal(value, 0x2b);
	assert_int_equal(wr(0x10a, 0), HV_VEC_GP);
}

static void kvm_clock_and_steal_time(void **state)
{
	uint32_t words[8];

	(void)state;
	assert_int_equal(wr(MSR_KVM_SYSTEM_TIME_NEW, 0x5001), -1);
	assert_int_equal(gmem_read(&vm->mem, GPA(0x5000), words, sizeof(words)), 0);
	assert_int_equal(words[0], 2); /* version: even, written once */
	assert_int_equal(words[7] & 0xff0000ff, words[7] & 0xff0000ff);
	assert_int_equal(words[7] >> 8 & 0xff, 1); /* stable */
	pv_clock_update(v);
	assert_int_equal(gmem_read(&vm->mem, GPA(0x5000), words, 4), 0);
	assert_int_equal(words[0], 4);
	/* ticks to nanoseconds as a guest computes them */
	fake_tsc = 2500000000ull;
	assert_in_range(pv_clock_now(vm), 999999990, 1000000000);
	fake_tsc = 0;
	assert_int_equal(wr(MSR_KVM_WALL_CLOCK_NEW, 0x6000), -1);
	assert_int_equal(gmem_read(&vm->mem, GPA(0x6000), words, 12), 0);
	assert_int_equal(words[0] & 1, 0);
	assert_in_range(words[1], 1699999990, 1700000000);
	assert_int_equal(wr(MSR_KVM_WALL_CLOCK, GIB(3)), HV_VEC_GP);
	assert_int_equal(wr(MSR_KVM_STEAL_TIME, 0x7001), -1);
	v->blocking = false;
	pv_sched_out(v);
	assert_int_equal(gmem_read(&vm->mem, GPA(0x7000), words, 32), 0);
	assert_int_equal(words[4] & 0xff, 1); /* preempted */
	uint8_t flush = 3;
	assert_int_equal(gmem_write(&vm->mem, GPA(0x7010), &flush, 1), 0);
	pv_sched_in(v);
	assert_int_equal(gmem_read(&vm->mem, GPA(0x7000), words, 32), 0);
	assert_true(words[0] > 0);
	assert_int_equal(words[2] & 1, 0);
	assert_int_equal(words[4] & 0xff, 0);
	assert_true(v->requests & VCPU_REQ_TLB); /* asked for while it was away */
	v->requests = 0;
}

static uint64_t advanced(uint64_t rip)
{
	v->rip = rip;
	assert_int_equal(handle((struct hv_exit){ .kind = HV_EXIT_CACHE, .insn_len = 2 }), HV_RESUME);
	return v->rip;
}

static void advancing(void **state)
{
	struct hv_segment cs = { .attr = 0x9b | HV_SEG_ATTR_L };
	struct hv_exit e = { .kind = HV_EXIT_CACHE, .insn_len = 2, .shadow = true };

	(void)state;
	/* IP of code that is not 64-bit wraps. */
	assert_int_equal(advanced(0xfffffffd), 0xffffffff);
	assert_int_equal(advanced(0xfffffffe), 0);
	assert_int_equal(advanced(0xffffffff), 1);
	hv_backend->reg_set(v, HV_REG_EFER, HV_EFER_LMA);
	hv_backend->seg_set(v, HV_SEG_CS, &cs);
	assert_int_equal(advanced(0xfffffffe), 0x100000000);
	assert_int_equal(advanced(0x1ffffffff), 0x200000001);
	assert_int_equal(faulted(), -1);

	/* The shadow ends with the instruction, of which only the exit knows that it held. */
	hv_backend->reg_set(v, HV_REG_INTR_SHADOW, 1);
	assert_int_equal(handle(e), HV_RESUME);
	assert_int_equal(hv_backend->reg_get(v, HV_REG_INTR_SHADOW), 0);

	/* A single step has seen the instruction through: #DB with BS. */
	hv_backend->reg_set(v, HV_REG_DR6, 0);
	v->rflags |= HV_RFLAGS_TF;
	assert_int_equal(advanced(0x1000), 0x1002);
	assert_int_equal(faulted(), HV_VEC_DB);
	assert_int_equal(hv_backend->reg_get(v, HV_REG_DR6), BIT(14));
	v->rflags &= ~HV_RFLAGS_TF;
	assert_int_equal(advanced(0x1000), 0x1002);
	assert_int_equal(faulted(), -1);
}

static uint64_t hypercall(uint64_t nr, uint64_t rbx, uint64_t rcx, uint64_t rdx, uint64_t rsi)
{
	v->gpr[GPR_RAX] = nr;
	v->gpr[GPR_RBX] = rbx;
	v->gpr[GPR_RCX] = rcx;
	v->gpr[GPR_RDX] = rdx;
	v->gpr[GPR_RSI] = rsi;
	assert_int_equal(handle((struct hv_exit){ .kind = HV_EXIT_HYPERCALL, .insn_len = 3 }), HV_RESUME);
	return v->gpr[GPR_RAX];
}

static void hypercalls(void **state)
{
	struct hv_segment ss = { .attr = 0xf3 };

	(void)state;
	assert_int_equal(hypercall(1, 0, 0, 0, 0), 0);
	assert_int_equal(hypercall(5, 0, 1, 0, 0), 0);
	assert_true(vm->vcpu[1]->requests & VCPU_REQ_UNHALT);
	assert_int_equal(hypercall(5, 0, 99, 0, 0), 0);
	assert_int_equal(hypercall(10, 3, 0, 0, 0x41), 2);
	assert_int_equal(hypercall(10, 3, 0, 1, 0x400), 1); /* NMI, from CPU 1 on */
	assert_true(vm->vcpu[1]->requests & VCPU_REQ_NMI);
	assert_int_equal(hypercall(10, 1, 0, 0, 0x500), -1000);
	assert_int_equal(hypercall(11, 0, 0, 0, 0), 0);
	assert_true(v->requests & VCPU_REQ_YIELD);
	assert_int_equal(hypercall(77, 0, 0, 0, 0), -1000);
	hv_backend->seg_set(v, HV_SEG_SS, &ss);
	assert_int_equal(hypercall(1, 0, 0, 0, 0), -1); /* not from user mode */
	v->requests = vm->vcpu[1]->requests = 0;
}

static int cr(uint8_t n, uint64_t value)
{
	v->gpr[GPR_RDI] = value;
	assert_int_equal(handle((struct hv_exit){ .kind = HV_EXIT_CR, .insn_len = 3,
		.u.cr = { .cr = n, .gpr = GPR_RDI, .write = true } }), HV_RESUME);
	return faulted();
}

static uint64_t cr_get(uint8_t n)
{
	assert_int_equal(handle((struct hv_exit){ .kind = HV_EXIT_CR, .insn_len = 3,
		.u.cr = { .cr = n, .gpr = GPR_RSI } }), HV_RESUME);
	return v->gpr[GPR_RSI];
}

static void control_registers(void **state)
{
	(void)state;
	hv_backend->reg_set(v, HV_REG_CR0, HV_CR0_PE | HV_CR0_ET);
	assert_int_equal(cr(0, BIT(32)), HV_VEC_GP);
	assert_int_equal(cr(0, HV_CR0_PG), HV_VEC_GP);
	assert_int_equal(cr(0, HV_CR0_PE | HV_CR0_NW), HV_VEC_GP);
	assert_int_equal(cr(0, HV_CR0_PE | HV_CR0_WP | HV_CR0_TS), -1);
	assert_int_equal(cr_get(0), HV_CR0_PE | HV_CR0_WP | HV_CR0_TS | HV_CR0_ET);
	hv_backend->reg_set(v, HV_REG_EFER, HV_EFER_LME);
	assert_int_equal(cr(0, HV_CR0_PE | HV_CR0_PG), HV_VEC_GP); /* no PAE */
	assert_int_equal(cr(4, HV_CR4_PAE), -1);
	assert_int_equal(cr(4, HV_CR4_VMXE), HV_VEC_GP);
	assert_int_equal(cr(4, HV_CR4_LA57), HV_VEC_GP);
	assert_int_equal(cr(0, HV_CR0_PE | HV_CR0_PG), -1);
	hv_backend->reg_set(v, HV_REG_EFER, HV_EFER_LME | HV_EFER_LMA);
	assert_int_equal(cr(4, 0), HV_VEC_GP);
	assert_int_equal(cr_get(4), HV_CR4_PAE);
	assert_int_equal(cr(3, BIT(63) | 0x5000), -1);
	assert_int_equal(cr_get(3), 0x5000);
	assert_int_equal(cr(8, 16), HV_VEC_GP);
	assert_int_equal(cr(8, 9), -1);
	assert_int_equal(cr_get(8), 9);
	assert_int_equal(cr(2, 0), HV_VEC_GP);
	hv_backend->reg_set(v, HV_REG_CR0, HV_CR0_PE | HV_CR0_TS | HV_CR0_ET);
	assert_int_equal(handle((struct hv_exit){ .kind = HV_EXIT_CR, .insn_len = 2,
		.u.cr = { .write = true, .is_clts = true } }), HV_RESUME);
	assert_false(cr_get(0) & HV_CR0_TS);
	assert_int_equal(handle((struct hv_exit){ .kind = HV_EXIT_CR, .insn_len = 2,
		.u.cr = { .write = true, .is_lmsw = true, .lmsw_source = 0xe } }), HV_RESUME);
	assert_int_equal(cr_get(0) & 0xf, 0xf); /* LMSW cannot clear PE */
}

static void pae_pointers_are_checked(void **state)
{
	uint64_t pdpt[4] = { 0x1001, 0x2001, 0x1e6 /* not present */, 0x3019 };

	(void)state;
	hv_backend->reg_set(v, HV_REG_EFER, 0);
	hv_backend->reg_set(v, HV_REG_CR0, HV_CR0_PE | HV_CR0_ET);
	hv_backend->reg_set(v, HV_REG_CR4, HV_CR4_PAE);
	hv_backend->reg_set(v, HV_REG_CR3, 0x5020);
	pdpt[3] |= BIT(1);
	assert_int_equal(gmem_write(&vm->mem, GPA(0x5020), pdpt, sizeof(pdpt)), 0);
	assert_int_equal(cr(0, HV_CR0_PE | HV_CR0_PG), HV_VEC_GP);
	assert_int_equal(cr_get(0), HV_CR0_PE | HV_CR0_ET);
	pdpt[3] = 0x3019;
	assert_int_equal(gmem_write(&vm->mem, GPA(0x5020), pdpt, sizeof(pdpt)), 0);
	assert_int_equal(cr(0, HV_CR0_PE | HV_CR0_PG), -1);
	pdpt[0] |= BIT(62);
	assert_int_equal(gmem_write(&vm->mem, GPA(0x5020), pdpt, sizeof(pdpt)), 0);
	assert_int_equal(cr(0, HV_CR0_PE | HV_CR0_PG | HV_CR0_TS), -1); /* loads none */
	assert_int_equal(cr(4, HV_CR4_PAE | HV_CR4_PGE), HV_VEC_GP);
	assert_int_equal(cr_get(4), HV_CR4_PAE);
	hv_backend->reg_set(v, HV_REG_CR3, 0xfffff000); /* no RAM */
	assert_int_equal(cr(4, HV_CR4_PAE | HV_CR4_PGE), HV_VEC_GP);
	assert_int_equal(cr(4, 0), -1); /* no longer PAE */
}

static bool port_fn(struct gbus_range *r, struct vcpu *who, struct gbus_access *a, bool fast)
{
	(void)r;
	(void)who;
	if (fast)
		return false;
	if (!a->write)
		a->data = 0x1122334455667788ull;
	return true;
}

static void ports_and_small_exits(void **state)
{
	struct gbus_range range = { .base = 0x500, .len = 8, .fn = port_fn };
	uint64_t unknown = v->io_unknown;

	(void)state;
	assert_int_equal(gbus_port_add(&vm->bus, &range), 0);
#define IO(p, s, i) handle((struct hv_exit){ .kind = HV_EXIT_IO, .insn_len = 1, \
	.u.io = { .port = (p), .size = (s), .in = (i) } })
	v->gpr[GPR_RAX] = ~0ull;
	assert_int_equal(IO(0x500, 1, true), HV_RESUME);
	assert_int_equal(v->gpr[GPR_RAX], 0xffffffffffffff88ull);
	assert_int_equal(IO(0x500, 2, true), HV_RESUME);
	assert_int_equal(v->gpr[GPR_RAX], 0xffffffffffff7788ull);
	assert_int_equal(IO(0x500, 4, true), HV_RESUME);
	assert_int_equal(v->gpr[GPR_RAX], 0x55667788);
	assert_int_equal(IO(0x500, 4, false), HV_RESUME);
	assert_int_equal(IO(0x9999, 1, true), HV_RESUME);
	assert_int_equal(v->gpr[GPR_RAX] & 0xff, 0xff);
	assert_int_equal(v->io_unknown, unknown + 1);
	gbus_port_del(&vm->bus, &range);
	static const struct {
		enum hv_exit_kind kind;
		int vector;
	} t[] = {
		{ HV_EXIT_EXTINT, -1 },    { HV_EXIT_NMI, -1 },      { HV_EXIT_MCE, -1 },
		{ HV_EXIT_INTR_WINDOW, -1 }, { HV_EXIT_NMI_WINDOW, -1 }, { HV_EXIT_PAUSE, -1 },
		{ HV_EXIT_CACHE, -1 },     { HV_EXIT_RDPMC, HV_VEC_GP }, { HV_EXIT_MONITOR, HV_VEC_UD },
		{ HV_EXIT_VIRT_INSN, HV_VEC_UD }, { HV_EXIT_PREEMPT_TIMER, -1 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		if (t[i].kind == HV_EXIT_PAUSE)
			continue; /* yields: the other threads would run */
		assert_int_equal(handle((struct hv_exit){ .kind = t[i].kind, .insn_len = 2 }), HV_RESUME);
		assert_int_equal(faulted(), t[i].vector);
	}
	assert_int_equal(handle((struct hv_exit){ .kind = HV_EXIT_EXCEPTION,
		.u.exc = { .vector = HV_VEC_PF, .has_error = true, .error = 2, .addr = 0xabc } }),
		HV_RESUME);
	assert_int_equal(hv_backend->reg_get(v, HV_REG_CR2), 0xabc);
	assert_int_equal(faulted(), HV_VEC_PF);
	for (unsigned int k = 0; k < HV_EXIT_KIND_COUNT; k++)
		assert_non_null(hv_exit_name(k));
	assert_string_equal(hv_exit_name(HV_EXIT_KIND_COUNT), "?");
}

static int xsetbv(uint32_t rcx, uint64_t value)
{
	v->gpr[GPR_RCX] = rcx;
	v->gpr[GPR_RAX] = (uint32_t)value;
	v->gpr[GPR_RDX] = value >> 32;
	assert_int_equal(handle((struct hv_exit){ .kind = HV_EXIT_XSETBV, .insn_len = 3 }), HV_RESUME);
	return faulted();
}

static void extended_state(void **state)
{
	(void)state;
	assert_int_equal(xsetbv(0, 7), -1);
	assert_int_equal(v->xcr0, 7);
	assert_int_equal(xsetbv(1, 7), HV_VEC_GP);
	assert_int_equal(xsetbv(0, 6), HV_VEC_GP);  /* x87 must be on */
	assert_int_equal(xsetbv(0, 5), HV_VEC_GP);  /* AVX without SSE */
	assert_int_equal(xsetbv(0, 0xe7), HV_VEC_GP); /* the host has no AVX-512 */
	v->cpuid->xcr0_mask = 0xe7;
	assert_int_equal(xsetbv(0, 0xe7), -1);
	assert_int_equal(xsetbv(0, 0x67), HV_VEC_GP);
	fake_xcr0 = 7;
	v->xcr0 = 1;
}

static void dirty_logging_marks_writes(void **state)
{
	struct hv_exit e = { .kind = HV_EXIT_STAGE2,
		.u.s2 = { .gpa = GPA(0x5123), .access = HV_ACCESS_WRITE } };

	(void)state;
	assert_int_equal(gmem_dirty_start(&vm->mem), 0);
	assert_int_equal(handle(e), HV_RESUME);
	assert_true(v->requests & VCPU_REQ_TLB);
	v->requests = 0;
	assert_true(vm->mem.region[0].dirty[0] & BIT(5));
	gmem_dirty_stop(&vm->mem);
}

static void give(uint64_t gpa, uint64_t want)
{
	const struct gmem_range r = { GPA(gpa), MIB(2) };

	vcpu_away(v);
	assert_int_equal(gmem_release(vm, &r, 1), want);
	v->requests = 0;
	vcpu_back(v);
}

static void absent_memory_comes_at_a_fault(void **state)
{
	static const uint32_t how[] = { HV_ACCESS_READ, HV_ACCESS_WRITE, HV_ACCESS_EXEC,
					HV_ACCESS_READ | HV_ACCESS_PTWALK };
	struct hv_exit e = { .kind = HV_EXIT_STAGE2, .u.s2 = { .gpa = GPA(MIB(6) + 5) } };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(how); i++) {
		give(MIB(6), MIB(2));
		e.u.s2.access = how[i];
		assert_int_equal(handle(e), HV_RESUME);
		assert_non_null(gmem_ptr(&vm->mem, e.u.s2.gpa, 1));
		assert_int_equal(handle(e), HV_RESUME); /* another vCPU was faster */
	}
	assert_int_equal(vm->mem.bytes, MIB(16));
	/* Under a dirty log the write is noted at once. */
	give(MIB(6), MIB(2));
	assert_int_equal(gmem_dirty_start(&vm->mem), 0);
	e.u.s2.access = HV_ACCESS_WRITE;
	assert_int_equal(handle(e), HV_RESUME);
	assert_true(vm->mem.region[0].dirty[MIB(6) / PAGE_SIZE / 64] & 1);
	assert_true(fake_touch(v, MIB(6), STAGE2_W));
	gmem_dirty_stop(&vm->mem);
	assert_int_equal(faulted(), -1);
	assert_int_equal(vm->ending, VM_END_NONE);
}

static void registered_pages_stay(void **state)
{
	static const uint32_t msr[] = { MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_STEAL_TIME,
					MSR_KVM_PV_EOI_EN };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(msr); i++) {
		/* Made present, and kept until it is registered no more, here or elsewhere. */
		give(MIB(6), MIB(2));
		assert_int_equal(wr(msr[i], MIB(6) + 0x1001), -1);
		give(MIB(6), 0);
		assert_int_equal(wr(msr[i], MIB(8) + 0x1001), -1);
		give(MIB(8), 0);
		give(MIB(6), MIB(2));
		assert_int_equal(wr(msr[i], GIB(2) + 1), HV_VEC_GP); /* not RAM: the old stays */
		give(MIB(8), 0);
		assert_int_equal(wr(msr[i], 0), -1);
		give(MIB(8), MIB(2));
		assert_int_equal(gmem_populate(&vm->mem, GPA(0), MIB(16)), 0);
	}
	/* The wall clock is written once. */
	give(MIB(6), MIB(2));
	assert_int_equal(wr(MSR_KVM_WALL_CLOCK, MIB(6)), -1);
	give(MIB(6), MIB(2));
	/* A reset lets go of all. */
	for (unsigned int i = 0; i < ARRAY_SIZE(msr); i++)
		assert_int_equal(wr(msr[i], MIB(6) + 0x1001), -1);
	vcpu_arch_reset(v, false);
	give(MIB(6), MIB(2));
}

static void machine_check_ends_who_lost_the_page(void **state)
{
	hpa_t own = HPA((uint64_t)(uintptr_t)gmem_ptr(&vm->mem, GPA(0x5000), 1) - mm_direct_base);
	const struct hv_exit e = { .kind = HV_EXIT_MCE };

	(void)state;
	assert_int_equal(handle(e), HV_RESUME); /* corrected: the guest knows nothing of it */
	assert_false(fake_mce_hook(own)); /* no guest was running here */
	vcpu_state_in(v);
	assert_false(fake_mce_hook(HPA(BIT(51))));
	assert_int_equal(handle(e), HV_RESUME);
	assert_true(fake_mce_hook(own));
	vcpu_state_out(v);
	assert_int_equal(handle(e), HV_STOP);
	assert_int_equal(vm->ending, VM_END_CRASH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TV(f) cmocka_unit_test_setup_teardown(f, setup_vm, teardown_vm)
		TV(cpuid_shows_the_guest_s_machine),
		TV(msrs),
		TV(speculation_msrs_follow_cpuid),
		TV(kvm_clock_and_steal_time),
		TV(advancing),
		TV(hypercalls),
		TV(control_registers),
		TV(pae_pointers_are_checked),
		TV(ports_and_small_exits),
		TV(extended_state),
		TV(dirty_logging_marks_writes),
		TV(absent_memory_comes_at_a_fault),
		TV(registered_pages_stay),
		TV(machine_check_ends_who_lost_the_page),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
