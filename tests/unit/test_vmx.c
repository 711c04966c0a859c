/* UNIT: hv/vmx/vmx_check.c hv/vmx/vmx_ctl.c hv/vmx/vmx_dump.c hv/vmx/vmx_ept.c
 * hv/vmx/vmx_init.c hv/vmx/vmx_msr.c hv/vmx/vmx_regs.c hv/vmx/vmx_run.c hv/vmx/vmx_setup.c
 * hv/vmx/vmx_vcpu.c hv/vmx/vmx_vpid.c hv/vcpu_dump.c hv/msr_map.c hv/gmem.c hv/stage2.c hv/gbus.c kernel/lib/fmt.c
 * kernel/lib/sink.c kernel/arch/mitigate.c tests/host/fake_backend.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * The VMX backend over a model of the VMX instructions: choosing controls, the life of a VMCS
 * across CPUs, registers, entries, exits and what an entry check finds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hv/exit_priv.h"
#include "hv/run_loop.h"
#include "hv/vmx/vmx_check.h"
#include "hv/vmx/vmx_ctl.h"
#include "hv/vmx/vmx_priv.h"
#include "hv/virq.h"
#include "kernel/arch/gdt.h"
#include "kernel/arch/trap.h"
#include "tests/host/fake_hv.h"
#include "tests/host/fake_log.h"
#include "tests/host/fake_panic.h"

extern const struct hv_backend vmx_backend;
const struct hv_backend *hv_backend;
struct hv_caps hv_caps;
/* Of hv_run_loop(), which tests of whole vCPUs drive. */
const struct hv_exit_desc hv_exit_table[HV_EXIT_KIND_COUNT];

void vcpu_events_prepare(struct vcpu *v)
{
	(void)v;
}

/* SDM vol. 3, appendix A. */
#define MSR_FEATURE 0x3au
#define MSR_BASIC   0x480u
#define MSR_EPT     0x48cu
#define ANY         0xffffffff00000000ull /* everything may be 1, nothing must */
#define EPT_ALL     (BIT(6) | BIT(14) | BIT(16) | BIT(17) | BIT(20) | BIT(21) | BIT(25) | BIT(26) | \
		     BIT(32) | BIT(41) | BIT(42))

static bool have_vmx;
static uint64_t cr8_written;
static int blocked = -1;
static struct vm *vm;
static struct vcpu *v;
static void (*guest)(void);
static int enter_result, resumed;

hpa_t va_to_hpa(const void *va)
{
	return HPA((uint64_t)(uintptr_t)va - mm_direct_base);
}

uint64_t gdt_base(unsigned int id)
{
	return 0x1000 + id;
}

uint64_t gdt_tss_base(unsigned int id)
{
	return 0x2000 + id;
}

uint64_t idt_base(void)
{
	return 0x3000;
}

int vlapic_tpr_blocked(struct vcpu *vcpu)
{
	(void)vcpu;
	return blocked;
}

uint64_t vlapic_cr8_get(const struct vcpu *vcpu)
{
	return vcpu->cr8;
}

void vlapic_cr8_set(struct vcpu *vcpu, uint64_t value)
{
	cr8_written = value;
	vcpu->cr8 = (uint8_t)value;
}

void vmx_exit_point(void)
{
}

struct vcpu *vmx_enter(struct vcpu *vcpu, bool launch, int *failed)
{
	assert_ptr_equal(vcpu, v);
	assert_int_equal(vmx_read(VMCS_HOST_RSP), (uint64_t)(uintptr_t)vcpu);
	/* VMLAUNCH wants a clear VMCS, VMRESUME a launched one. */
	assert_int_equal(fake_vmcs_current()->launched, !launch);
	resumed = !launch;
	*failed = enter_result;
	if (enter_result)
		return vcpu;
	fake_vmcs_current()->launched = true;
	vmx_write(VMCS_IDT_INFO, 0);
	if (guest)
		guest();
	return vcpu;
}

static struct cpuid_regs leaf(uint32_t l, uint32_t sub)
{
	(void)sub;
	return (struct cpuid_regs){ .ecx = l == 1 && have_vmx ? 1u << 5 : 0 };
}

static void cpu_with_everything(void)
{
	have_vmx = true;
	fake_cpuid_hook = leaf;
	memset(fake_msrs, 0, sizeof(fake_msrs));
	wrmsr(MSR_FEATURE, 0);
	wrmsr(MSR_BASIC, FAKE_REVISION | BIT(55));
	for (uint32_t m = 0x481; m <= 0x484; m++)
		wrmsr(m, ANY);
	for (uint32_t m = 0x48d; m <= 0x490; m++)
		wrmsr(m, ANY);
	wrmsr(0x485, 5 | BIT(5));
	wrmsr(0x486, 0x80000021);
	wrmsr(0x488, 0x2000);
	wrmsr(0x48b, ANY);
	wrmsr(MSR_EPT, EPT_ALL);
	fake_cr[0] = 0x80010011;
	fake_cr[4] = 0x20;
}

static int probe(void)
{
	int err = vmx_backend.probe(&hv_caps);

	return err ? err : msr_map_init(vmx_backend.msr_map);
}

static void make_vm(void)
{
	vm = calloc(1, sizeof(*vm));
	v = calloc(1, sizeof(*v));
	assert_int_equal(gmem_init(&vm->mem, &vmx_ept_format, false), 0);
	assert_int_equal(gmem_add(&vm->mem, GPA(0), MIB(4), GMEM_RAM), 0);
	msr_map_vm_init(&vm->msr_map);
	v->vm = vm;
	v->rflags = HV_RFLAGS_RESERVED1;
	assert_int_equal(vmx_backend.vcpu_init(v), 0);
	vmx_backend.vcpu_reset(v);
}

static void free_vm(void)
{
	vmx_backend.vcpu_fini(v);
	msr_map_vm_fini(&vm->msr_map);
	gmem_fini(&vm->mem);
	free(v);
	free(vm);
}

static int setup(void **state)
{
	(void)state;
	fake_allocs_left = -1;
	fake_cpu_now = 0;
	cpu_with_everything();
	assert_int_equal(probe(), 0);
	for (unsigned int i = 0; i < 2; i++) {
		fake_cpu_now = i;
		assert_int_equal(vmx_backend.cpu_enable(), 0);
	}
	fake_cpu_now = 0;
	make_vm();
	guest = NULL;
	enter_result = 0;
	blocked = -1;
	fake_host_nmi = fake_host_mce = 0;
	memset(&v->exit, 0xa5, sizeof(v->exit));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (v->vmx->loaded)
		vmx_backend.unload(v);
	free_vm();
	for (unsigned int i = 0; i < 2; i++) {
		fake_cpu_now = i;
		vmx_backend.cpu_disable();
		vmx_backend.cpu_disable(); /* twice is harmless */
	}
	fake_cpu_now = 0;
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	return 0;
}

/* --- choosing --- */

static void controls_are_what_the_cpu_accepts(void **state)
{
	uint32_t out;

	(void)state;
	assert_int_equal(vmx_ctl_adjust(1, 2, 4, 0xf00000008ull, &out), 0);
	assert_int_equal(out, 1 | 4 | 8);
	assert_int_equal(vmx_ctl_adjust(1, 0, 6, 0x300000000ull, &out), 0);
	assert_int_equal(out, 3);
	assert_int_equal(vmx_ctl_adjust(0x10, 0, 0, 0xf00000000ull, &out), -RAY_ENOSYS);
	assert_int_equal(out, 0x10);
	assert_int_equal(vmx_ctl_adjust(0, 8, 0, 0xf00000008ull, &out), -RAY_ENOSYS);
	assert_int_equal(out, 8);
}

static void probe_refuses_what_cannot_work(void **state)
{
	static const struct {
		uint32_t msr;
		uint64_t value;
		int err;
	} t[] = {
		{ MSR_FEATURE, 1, -RAY_EPERM },
		{ 0x482, 0x7fffffff00000000ull, -RAY_ENODEV }, /* no secondary controls */
		{ MSR_EPT, EPT_ALL & ~BIT(6), -RAY_ENODEV },
		{ MSR_EPT, EPT_ALL & ~BIT(14), -RAY_ENODEV },
		{ MSR_EPT, EPT_ALL & ~(BIT(25) | BIT(26)), -RAY_ENODEV },
		{ 0x48b, 0, -RAY_ENODEV },                     /* neither EPT nor unrestricted */
		{ 0x48d, 0, -RAY_ENODEV },
		{ 0x48e, BIT(32 + 31), -RAY_ENODEV },
		{ 0x48f, 0, -RAY_ENODEV },
		{ 0x490, 0, -RAY_ENODEV },
	};

	(void)state;
	cpu_with_everything();
	have_vmx = false;
	assert_int_equal(probe(), -RAY_ENODEV);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		cpu_with_everything();
		wrmsr(t[i].msr, t[i].value);
		if (probe() != t[i].err)
			fail_msg("msr 0x%x = 0x%llx", t[i].msr, (unsigned long long)t[i].value);
	}
	cpu_with_everything();
	assert_int_equal(probe(), 0);
	assert_true(hv_caps.tagged_tlb && hv_caps.page_1g && hv_caps.preempt_timer);
	assert_int_equal(hv_caps.preempt_timer_shift, 5);
	assert_non_null(strstr(hv_caps.detail, "vpid"));
	/* the plain capability MSRs serve when there are no true ones, and less is enough */
	wrmsr(MSR_BASIC, FAKE_REVISION);
	wrmsr(0x48d, 0);
	wrmsr(0x482, ANY & ~BIT(32 + 21));
	wrmsr(MSR_EPT, EPT_ALL & ~(BIT(32) | BIT(21)));
	wrmsr(0x485, 0);
	assert_int_equal(probe(), 0);
	assert_false(hv_caps.tagged_tlb || hv_caps.dirty_bits);
	assert_false(vmx_config.tpr_shadow);
	assert_true(vmx_config.proc & (1u << 19)); /* then MOV to CR8 exits */
	assert_true(vmx_config.cr0_mask & HV_CR0_PG);
	free_vm();
	make_vm(); /* works without VPID and TPR shadow as well */
	assert_int_equal(v->vmx->vpid, 0);
	fake_invvpid = 0;
	vmx_backend.load(v);
	vmx_backend.run(v);
	vmx_backend.unload(v);
	assert_int_equal(fake_invvpid, 0);
	free_vm();
	cpu_with_everything();
	assert_int_equal(probe(), 0);
	make_vm();
}

static void enabling_a_cpu(void **state)
{
	(void)state;
	fake_cpu_now = 2;
	fake_cr[4] = 0x20;
	fake_allocs_left = 0;
	assert_int_equal(vmx_backend.cpu_enable(), -RAY_ENOMEM);
	fake_allocs_left = -1;
	fake_vmxon_fails = true;
	assert_int_equal(vmx_backend.cpu_enable(), -RAY_EIO);
	assert_false(fake_cr[4] & BIT(13));
	fake_vmxon_fails = false;
	fake_invept = 0;
	assert_int_equal(vmx_backend.cpu_enable(), 0);
	assert_int_equal(fake_invept, 1);
	assert_true(fake_cr[4] & BIT(13));
	assert_int_equal(rdmsr(MSR_FEATURE), 5); /* locked, on */
	vmx_backend.cpu_disable();
	assert_false(fake_cr[4] & BIT(13));
	wrmsr(MSR_FEATURE, 1);
	assert_int_equal(vmx_backend.cpu_enable(), -RAY_EPERM);
	fake_cpu_now = 0;
}

static void every_allocation_may_fail(void **state)
{
	struct vcpu other = { .vm = vm };
	int64_t pages = fake_pages_live, heap = fake_heap_live;

	(void)state;
	for (int n = 0; n < 3; n++) {
		fake_allocs_left = n;
		assert_int_equal(vmx_backend.vcpu_init(&other), -RAY_ENOMEM);
		assert_null(other.vmx);
		assert_int_equal(fake_pages_live, pages);
		assert_int_equal(fake_heap_live, heap);
	}
	fake_allocs_left = 0;
	vmx_backend.vcpu_fini(&other);
	fake_allocs_left = -1;
}

/* --- registers --- */

static void reset_state(void **state)
{
	struct hv_segment cs;

	(void)state;
	assert_int_equal(vmx_reg_get(v, HV_REG_CR0), 0x60000010);
	assert_int_equal(vmx_reg_get(v, HV_REG_CR4), 0);
	assert_int_equal(vmx_reg_get(v, HV_REG_EFER), 0);
	assert_int_equal(vmx_reg_get(v, HV_REG_PAT), 0x0007040600070406ull);
	vmx_seg_get(v, HV_SEG_CS, &cs);
	assert_int_equal(cs.base, 0xffff0000);
	assert_int_equal(cs.attr, 0x9b);
	vmx_backend.load(v);
	/* the CPU runs with its caches on and NE set, whatever the guest believes */
	assert_int_equal(vmx_read(VMCS_GUEST_CR0), 0x30);
	assert_int_equal(vmx_read(VMCS_GUEST_CR4), 0x2040);
	assert_int_equal(vmx_read(VMCS_EXCEPTIONS), BIT(1) | BIT(17) | BIT(18));
	assert_int_equal(vmx_read(VMCS_LINK_POINTER), ~0ull);
	assert_int_equal(vmx_read(VMCS_EPTP) & 0xfff, 0x5e);
	assert_int_equal(vmx_read(VMCS_HOST_TR_BASE), 0x2000);
	assert_int_equal(vmx_read(VMCS_HOST_RIP), (uint64_t)(uintptr_t)vmx_exit_point);
	vmx_backend.unload(v);
}

static void registers_round_trip(void **state)
{
	(void)state;
	for (unsigned int loaded = 0; loaded < 2; loaded++) {
		if (loaded)
			vmx_backend.load(v);
		for (unsigned int r = 0; r < HV_REG_COUNT; r++) {
			uint64_t value = r == HV_REG_INTR_SHADOW ? 2 : r == HV_REG_NMI_BLOCKED ? 1 :
					 r == HV_REG_CR0 ? 0x31 : r == HV_REG_CR4 ? 0x20 :
					 r == HV_REG_EFER ? HV_EFER_SCE : 0x1230 + r;

			vmx_reg_set(v, r, value);
			assert_int_equal(vmx_reg_get(v, r), value);
		}
		assert_int_equal(vmx_reg_get(v, HV_REG_INTR_SHADOW), 2); /* beside NMI blocking */
		for (unsigned int s = 0; s < HV_SEG_COUNT; s++) {
			struct hv_segment in = { .base = 0x1000 * s, .limit = 0xfffff, .selector = 8,
						 .attr = 0xc9b };
			struct hv_segment out;

			if (s >= HV_SEG_GDTR)
				in.selector = 0, in.attr = 0;
			vmx_seg_set(v, s, &in);
			vmx_seg_get(v, s, &out);
			assert_int_equal(out.base, in.base);
			assert_int_equal(out.limit, in.limit);
			assert_int_equal(out.selector, in.selector);
			assert_int_equal(out.attr, in.attr);
		}
	}
	vmx_backend.unload(v);
	assert_int_equal(v->vmx->msr[VMX_MSR_LSTAR], 0x1230 + HV_REG_LSTAR);
}

static void segments_fit_what_entries_want(void **state)
{
	struct hv_segment s = { .limit = 0xffffffff, .attr = 0x93 };

	(void)state;
	vmx_seg_set(v, HV_SEG_DS, &s);
	vmx_seg_get(v, HV_SEG_DS, &s);
	assert_true(s.attr & HV_SEG_ATTR_G);
	s = (struct hv_segment){ .limit = 0x1234, .attr = 0x93 | HV_SEG_ATTR_G };
	vmx_seg_set(v, HV_SEG_DS, &s);
	vmx_seg_get(v, HV_SEG_DS, &s);
	assert_false(s.attr & HV_SEG_ATTR_G);
	s = (struct hv_segment){ .limit = 0x67, .attr = 0x89 | HV_SEG_UNUSABLE };
	vmx_seg_set(v, HV_SEG_TR, &s); /* always usable and busy */
	vmx_seg_get(v, HV_SEG_TR, &s);
	assert_int_equal(s.attr, 0x8b);
	s = (struct hv_segment){ .attr = HV_SEG_UNUSABLE };
	vmx_seg_set(v, HV_SEG_FS, &s);
	vmx_seg_get(v, HV_SEG_FS, &s);
	assert_int_equal(s.attr, HV_SEG_UNUSABLE);
}

static void long_mode_follows_paging(void **state)
{
	(void)state;
	vmx_backend.load(v);
	vmx_reg_set(v, HV_REG_EFER, HV_EFER_LME);
	assert_int_equal(vmx_reg_get(v, HV_REG_EFER), HV_EFER_LME);
	assert_false(vmx_read(VMCS_ENTRY_CTL) & VMX_ENTRY_IA32E);
	vmx_reg_set(v, HV_REG_CR0, HV_CR0_PE | HV_CR0_PG);
	assert_int_equal(vmx_reg_get(v, HV_REG_EFER), HV_EFER_LME | HV_EFER_LMA);
	assert_true(vmx_read(VMCS_ENTRY_CTL) & VMX_ENTRY_IA32E);
	vmx_reg_set(v, HV_REG_CR0, HV_CR0_PE);
	assert_int_equal(vmx_reg_get(v, HV_REG_EFER), HV_EFER_LME);
	assert_false(vmx_read(VMCS_ENTRY_CTL) & VMX_ENTRY_IA32E);
	vmx_backend.unload(v);
}

/* --- moving between CPUs --- */

static void a_vcpu_moves_between_cpus(void **state)
{
	(void)state;
	vmx_reg_set(v, HV_REG_LSTAR, 0xabc);
	vmx_backend.load(v);
	assert_int_equal(rdmsr(0xc0000082), 0xabc);
	wrmsr(0xc0000082, 0xdef); /* the guest writes it */
	vmx_backend.unload(v);
	assert_int_equal(vmx_reg_get(v, HV_REG_LSTAR), 0xdef);
	fake_invept = fake_invvpid = 0;
	vmx_backend.load(v); /* the same CPU: its translations still hold */
	assert_int_equal(fake_invept + fake_invvpid, 0);
	vmx_backend.unload(v);
	fake_cpu_now = 1;
	vmx_backend.load(v);
	assert_int_equal(fake_invept, 1);
	assert_int_equal(fake_invvpid, 1);
	assert_int_equal(vmx_read(VMCS_HOST_TR_BASE), 0x2001);
	vmx_backend.unload(v);
	fake_cpu_now = 0;
	fake_invept = 0;
	vmx_backend.load(v); /* what it left here is stale now */
	assert_int_equal(fake_invept, 1);
	vmx_backend.unload(v);
}

static void access_from_elsewhere_disturbs_nobody(void **state)
{
	struct vcpu other = { .vm = vm };

	(void)state;
	assert_int_equal(vmx_backend.vcpu_init(&other), 0);
	assert_int_not_equal(other.vmx->vpid, v->vmx->vpid);
	vmx_backend.load(v);
	vmx_backend.run(v);
	vmx_reg_set(&other, HV_REG_CR3, 0x5000);
	vmx_backend.tsc_offset_set(&other, 77);
	assert_int_equal(fake_vmcs_current()->pa, v->vmx->vmcs_pa);
	vmx_backend.run(v); /* still launched: vmx_enter() above checks */
	assert_int_equal(resumed, 1);
	vmx_backend.unload(v);
	assert_int_equal(vmx_reg_get(&other, HV_REG_CR3), 0x5000);
	vmx_backend.load(&other);
	assert_int_equal(vmx_read(VMCS_TSC_OFFSET), 77);
	vmx_backend.unload(&other);
	vmx_backend.vcpu_fini(&other);
}

static void spec_ctrl_is_switched_where_it_differs(void **state)
{
	(void)state;
	vmx_backend.load(v);
	for (unsigned int set = 0; set < 8; set += 4) {
		vmx_backend.spec_ctrl_set(v, set);
		assert_int_equal(vmx_read(VMCS_ENTRY_MSR_LOAD), set == 4);
	}
	vmx_backend.unload(v);
}

static void flushes_come_before_the_next_entry(void **state)
{
	(void)state;
	vmx_backend.load(v);
	vmx_backend.run(v);
	fake_invept = 0;
	vmx_backend.tlb_flush(v);
	assert_int_equal(fake_invept, 0);
	vmx_backend.run(v);
	assert_int_equal(fake_invept, 1);
	vmx_backend.run(v);
	assert_int_equal(fake_invept, 1);
	vm->mem.s2.root.v ^= 0x7000;
	vmx_backend.tlb_flush(v);
	assert_int_equal(vmx_read(VMCS_EPTP), vm->mem.s2.root.v | 0x5e);
	vm->mem.s2.root.v ^= 0x7000;
	vmx_backend.unload(v);
}

/* --- entries and exits --- */

static uint32_t reason, intr_info, intr_error, idt_info, idt_error, insn_len;
static uint64_t qual, gpa, gva;

static void guest_exits(void)
{
	vmx_write(VMCS_EXIT_REASON, reason);
	vmx_write(VMCS_EXIT_QUAL, qual);
	vmx_write(VMCS_GUEST_PHYS, gpa);
	vmx_write(VMCS_GUEST_LINEAR, gva);
	vmx_write(VMCS_EXIT_INTR_INFO, intr_info);
	vmx_write(VMCS_EXIT_INTR_ERROR, intr_error);
	vmx_write(VMCS_IDT_INFO, idt_info);
	vmx_write(VMCS_IDT_ERROR, idt_error);
	vmx_write(VMCS_EXIT_INSN_LEN, insn_len);
}

static void run_exit(uint32_t r, uint64_t q)
{
	reason = r;
	qual = q;
	guest = guest_exits;
	vmx_backend.run(v);
}

static void exit_kinds(void **state)
{
	static const struct {
		uint32_t reason;
		enum hv_exit_kind kind;
		bool len;
	} t[] = {
		{ 1, HV_EXIT_EXTINT, false },      { 2, HV_EXIT_TRIPLE_FAULT, false },
		{ 3, HV_EXIT_INIT, false },        { 7, HV_EXIT_INTR_WINDOW, false },
		{ 8, HV_EXIT_NMI_WINDOW, false },  { 9, HV_EXIT_TASK_SWITCH, false },
		{ 10, HV_EXIT_CPUID, true },       { 12, HV_EXIT_HLT, true },
		{ 13, HV_EXIT_CACHE, true },       { 15, HV_EXIT_RDPMC, true },
		{ 18, HV_EXIT_HYPERCALL, true },   { 19, HV_EXIT_VIRT_INSN, true },
		{ 27, HV_EXIT_VIRT_INSN, true },   { 31, HV_EXIT_MSR_READ, true },
		{ 32, HV_EXIT_MSR_WRITE, true },   { 36, HV_EXIT_MONITOR, true },
		{ 40, HV_EXIT_PAUSE, true },       { 43, HV_EXIT_INTR_WINDOW, false },
		{ 52, HV_EXIT_PREEMPT_TIMER, false }, { 54, HV_EXIT_CACHE, true },
		{ 55, HV_EXIT_XSETBV, true },      { 59, HV_EXIT_VIRT_INSN, true },
		{ 14, HV_EXIT_UNKNOWN, false },    { 33, HV_EXIT_UNKNOWN, false },
		{ 69, HV_EXIT_UNKNOWN, false },    { 70, HV_EXIT_UNKNOWN, false },
		{ 0xffff, HV_EXIT_UNKNOWN, false }, { BIT(31) | 33, HV_EXIT_ENTRY_FAILED, false },
	};

	(void)state;
	vmx_backend.load(v);
	insn_len = 3;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		run_exit(t[i].reason, 0);
		if (v->exit.kind != t[i].kind || v->exit.insn_len != (t[i].len ? 3 : 0))
			fail_msg("reason %u gives %u", t[i].reason, v->exit.kind);
	}
	run_exit(BIT(31) | 41, 0); /* a machine check during entry is still the host's */
	assert_int_equal(fake_host_mce, 1);
	vmx_backend.unload(v);
}

static void exit_details(void **state)
{
	(void)state;
	vmx_backend.load(v);
	run_exit(30, 0x3f80039); /* in, string, rep, 2 bytes */
	assert_int_equal(v->exit.kind, HV_EXIT_IO);
	assert_int_equal(v->exit.u.io.port, 0x3f8);
	assert_int_equal(v->exit.u.io.size, 2);
	assert_true(v->exit.u.io.in && v->exit.u.io.string && v->exit.u.io.rep);
	run_exit(28, 0x304); /* mov cr4, rbx */
	assert_int_equal(v->exit.u.cr.cr, 4);
	assert_int_equal(v->exit.u.cr.gpr, GPR_RBX);
	assert_true(v->exit.u.cr.write && !v->exit.u.cr.is_clts && !v->exit.u.cr.is_lmsw);
	run_exit(28, 0x10 | 0x803);
	assert_false(v->exit.u.cr.write);
	assert_int_equal(v->exit.u.cr.gpr, GPR_R8);
	run_exit(28, 0x20);
	assert_true(v->exit.u.cr.is_clts);
	run_exit(28, 0x30 | 0xabcd0000);
	assert_true(v->exit.u.cr.is_lmsw);
	assert_int_equal(v->exit.u.cr.lmsw_source, 0xabcd);
	run_exit(29, 0x217); /* mov rdx, dr7 */
	assert_int_equal(v->exit.u.dr.dr, 7);
	assert_int_equal(v->exit.u.dr.gpr, GPR_RDX);
	assert_false(v->exit.u.dr.write);
	gpa = 0xd0001000;
	gva = 0x7f0000;
	run_exit(48, 0x183);
	assert_int_equal(v->exit.kind, HV_EXIT_STAGE2);
	assert_int_equal(v->exit.u.s2.gpa.v, gpa);
	assert_int_equal(v->exit.u.s2.gva.v, gva);
	assert_true(v->exit.u.s2.gva_valid);
	assert_int_equal(v->exit.u.s2.access, HV_ACCESS_WRITE);
	run_exit(48, 0x81);
	assert_int_equal(v->exit.u.s2.access, HV_ACCESS_READ | HV_ACCESS_PTWALK);
	run_exit(48, 4);
	assert_int_equal(v->exit.u.s2.access, HV_ACCESS_EXEC);
	run_exit(48, 0x1183); /* inside IRET: NMIs stay blocked */
	assert_true(vmx_reg_get(v, HV_REG_NMI_BLOCKED));
	vmx_reg_set(v, HV_REG_NMI_BLOCKED, 0);
	run_exit(49, 0);
	assert_int_equal(v->exit.kind, HV_EXIT_STAGE2_BROKEN);
	vmx_backend.unload(v);
}

static void exceptions_and_host_events(void **state)
{
	(void)state;
	vmx_backend.load(v);
	intr_info = BIT(31) | 2 << 8 | 2;
	run_exit(0, 0);
	assert_int_equal(v->exit.kind, HV_EXIT_NMI);
	assert_int_equal(fake_host_nmi, 1);
	intr_info = BIT(31) | 3 << 8 | 18;
	run_exit(0, 0);
	assert_int_equal(v->exit.kind, HV_EXIT_MCE);
	assert_int_equal(fake_host_mce, 1);
	intr_info = BIT(31) | BIT(11) | 3 << 8 | 17;
	intr_error = 0x55;
	run_exit(0, 0x1234);
	assert_int_equal(v->exit.kind, HV_EXIT_EXCEPTION);
	assert_int_equal(v->exit.u.exc.vector, 17);
	assert_true(v->exit.u.exc.has_error);
	assert_int_equal(v->exit.u.exc.error, 0x55);
	/* #DB: causes go to DR6, general detect ends */
	fake_dr[6] = 0xffff0ff5;
	vmx_write(VMCS_GUEST_DR7, 0x2400);
	intr_info = BIT(31) | BIT(12) | 3 << 8 | 1;
	run_exit(0, 0x4002);
	assert_int_equal(fake_dr[6], 0xffff4ff2);
	assert_int_equal(vmx_read(VMCS_GUEST_DR7), 0x400);
	assert_true(vmx_reg_get(v, HV_REG_NMI_BLOCKED));
	intr_info = 0;
	vmx_backend.unload(v);
}

static void events_cut_short_are_reported(void **state)
{
	(void)state;
	vmx_backend.load(v);
	idt_info = BIT(31) | BIT(11) | 3 << 8 | 14;
	idt_error = 6;
	insn_len = 2;
	run_exit(48, 1);
	assert_true(v->exitint.valid && v->exitint.has_error);
	assert_int_equal(v->exitint.vector, 14);
	assert_int_equal(v->exitint.error, 6);
	v->exitint.valid = false; /* whoever takes it clears it */
	idt_info = 0;
	run_exit(48, 1);
	assert_false(v->exitint.valid);
	/* a failed entry leaves the field as it was */
	idt_info = BIT(31) | 0x20;
	run_exit((uint32_t)BIT(31) | 33, 0);
	assert_false(v->exitint.valid);
	idt_info = 0;
	vmx_backend.unload(v);
}

static void injection(void **state)
{
	(void)state;
	vmx_backend.load(v);
	vmx_reg_set(v, HV_REG_CR0, HV_CR0_PE);
	v->inject = (struct hv_event){ .valid = true, .type = HV_EVENT_EXCEPTION, .vector = 13,
				       .has_error = true, .error = 0x18 };
	run_exit(12, 0);
	assert_int_equal(vmx_read(VMCS_ENTRY_INTR_INFO), BIT(31) | BIT(11) | 3 << 8 | 13);
	assert_int_equal(vmx_read(VMCS_ENTRY_ERROR_CODE), 0x18);
	assert_false(v->inject.valid);
	/* real mode pushes no error code */
	vmx_reg_set(v, HV_REG_CR0, 0);
	v->inject = (struct hv_event){ .valid = true, .type = HV_EVENT_EXCEPTION, .vector = 13,
				       .has_error = true };
	run_exit(12, 0);
	assert_int_equal(vmx_read(VMCS_ENTRY_INTR_INFO), BIT(31) | 3 << 8 | 13);
	v->inject = (struct hv_event){ .valid = true, .type = HV_EVENT_SOFT_INT, .vector = 0x80,
				       .insn_len = 2 };
	run_exit(12, 0);
	assert_int_equal(vmx_read(VMCS_ENTRY_INSN_LEN), 2);
	vmx_reg_set(v, HV_REG_NMI_BLOCKED, 1);
	v->inject = (struct hv_event){ .valid = true, .type = HV_EVENT_NMI, .vector = 2 };
	run_exit(12, 0);
	assert_false(vmx_reg_get(v, HV_REG_NMI_BLOCKED)); /* the CPU itself blocks */
	vmx_backend.unload(v);
}

static void windows_and_shadows(void **state)
{
	(void)state;
	vmx_backend.load(v);
	v->rflags = HV_RFLAGS_RESERVED1 | HV_RFLAGS_IF;
	assert_true(vmx_backend.intr_allowed(v));
	assert_true(vmx_backend.nmi_allowed(v));
	vmx_reg_set(v, HV_REG_INTR_SHADOW, 1);
	run_exit(12, 0);
	assert_true(v->exit.shadow);
	assert_false(vmx_backend.intr_allowed(v));
	assert_false(vmx_backend.nmi_allowed(v));
	vmx_reg_set(v, HV_REG_INTR_SHADOW, 0);
	vmx_reg_set(v, HV_REG_NMI_BLOCKED, 1);
	run_exit(12, 0);
	assert_false(v->exit.shadow);
	assert_true(vmx_backend.intr_allowed(v));
	assert_false(vmx_backend.nmi_allowed(v));
	v->rflags = HV_RFLAGS_RESERVED1;
	assert_false(vmx_backend.intr_allowed(v));
	vmx_backend.intr_window(v, true);
	assert_true(vmx_read(VMCS_PROC_CTL) & (1u << 2));
	fake_vmwrites = 0;
	vmx_backend.intr_window(v, true);
	assert_int_equal(fake_vmwrites, 0);
	vmx_backend.nmi_window(v, true);
	vmx_backend.intr_window(v, false);
	assert_int_equal(vmx_read(VMCS_PROC_CTL) & (1u << 2 | 1u << 22), 1u << 22);
	vmx_backend.unload(v);
}

static void guest_moves_on(void)
{
	assert_int_equal(vmx_read(VMCS_GUEST_RIP), 0x7c00);
	assert_int_equal(vmx_read(VMCS_GUEST_RSP), 0x6000);
	assert_int_equal(vmx_read(VMCS_GUEST_RFLAGS), 0x202);
	assert_int_equal(fake_cr[2], 0x4444);
	fake_cr[2] = 0x5555;
	vmx_write(VMCS_GUEST_RIP, 0x7c02);
	vmx_write(VMCS_GUEST_RSP, 0x5ff8);
	vmx_write(VMCS_GUEST_RFLAGS, 0x46);
	reason = 12;
	guest_exits();
}

static void state_goes_in_and_out(void **state)
{
	(void)state;
	vmx_backend.load(v);
	v->rip = 0x7c00;
	v->rflags = 0x202;
	v->gpr[GPR_RSP] = 0x6000;
	vmx_reg_set(v, HV_REG_CR2, 0x4444);
	guest = guest_moves_on;
	vmx_backend.run(v);
	assert_int_equal(v->rip, 0x7c02);
	assert_int_equal(v->rflags, 0x46);
	assert_int_equal(v->gpr[GPR_RSP], 0x5ff8);
	assert_int_equal(vmx_reg_get(v, HV_REG_CR2), 0x5555);
	vmx_backend.unload(v);
	fake_cr[2] = 0; /* another vCPU's, meanwhile */
	assert_int_equal(vmx_reg_get(v, HV_REG_CR2), 0x5555);
	vmx_backend.load(v);
	assert_int_equal(fake_cr[2], 0x5555);
	guest = NULL;
	vmx_write(VMCS_EXIT_REASON, 12);
	fake_vmwrites = 0;
	vmx_backend.run(v); /* nothing changed: RIP, and what the model writes */
	assert_int_equal(fake_vmwrites, 2);
	/* the instruction itself refuses */
	vmx_write(VMCS_INSN_ERROR, 7);
	enter_result = 1;
	vmx_backend.run(v);
	assert_int_equal(v->exit.kind, HV_EXIT_ENTRY_FAILED);
	assert_int_equal(v->exit.raw_info[0], 7);
	enter_result = 0;
	vmx_backend.unload(v);
}

static void guest_lowers_cr8(void)
{
	((uint8_t *)v->vmx->vapic)[0x80] = 0x30;
	guest_exits();
}

static void task_priority(void **state)
{
	(void)state;
	vmx_backend.load(v);
	v->cr8 = 9;
	blocked = 0x50;
	run_exit(12, 0);
	assert_int_equal(((uint8_t *)v->vmx->vapic)[0x80], 0x90);
	assert_int_equal(vmx_read(VMCS_TPR_THRESHOLD), 5);
	blocked = -1;
	run_exit(12, 0);
	assert_int_equal(vmx_read(VMCS_TPR_THRESHOLD), 0);
	guest = guest_lowers_cr8;
	vmx_backend.run(v);
	assert_int_equal(cr8_written, 3);
	vmx_backend.unload(v);
}

static void pae_pointers_are_loaded(void **state)
{
	uint64_t pdpt[4] = { 0x1001, 0x2001, 0x3001, 0x4001 };

	(void)state;
	assert_int_equal(gmem_write(&vm->mem, GPA(0x8020), pdpt, sizeof(pdpt)), 0);
	vmx_backend.load(v);
	vmx_reg_set(v, HV_REG_CR4, HV_CR4_PAE);
	vmx_reg_set(v, HV_REG_CR3, 0x8020);
	vmx_reg_set(v, HV_REG_CR0, HV_CR0_PE | HV_CR0_PG);
	run_exit(12, 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(vmx_read(VMCS_GUEST_PDPTE0 + 2 * i), pdpt[i]);
	/* memory changes, and neither an exit nor another bit of CR0 or CR4 loads them */
	assert_int_equal(gmem_write(&vm->mem, GPA(0x8020), pdpt + 1, sizeof(*pdpt)), 0);
	run_exit(12, 0);
	vmx_reg_set(v, HV_REG_CR0, HV_CR0_PE | HV_CR0_PG | HV_CR0_TS);
	vmx_reg_set(v, HV_REG_CR4, HV_CR4_PAE | HV_CR4_OSFXSR);
	run_exit(12, 0);
	assert_int_equal(vmx_read(VMCS_GUEST_PDPTE0), pdpt[0]);
	vmx_reg_set(v, HV_REG_CR4, HV_CR4_PAE | HV_CR4_PGE);
	run_exit(12, 0);
	assert_int_equal(vmx_read(VMCS_GUEST_PDPTE0), pdpt[1]);
	assert_int_equal(gmem_write(&vm->mem, GPA(0x8020), pdpt, sizeof(*pdpt)), 0);
	vmx_reg_set(v, HV_REG_CR0, HV_CR0_PE | HV_CR0_PG | HV_CR0_CD);
	run_exit(12, 0);
	assert_int_equal(vmx_read(VMCS_GUEST_PDPTE0), pdpt[0]);
	vmx_reg_set(v, HV_REG_CR3, 0xfffff000); /* outside RAM: left to the CPU */
	run_exit(12, 0);
	assert_int_equal(vmx_read(VMCS_GUEST_PDPTE0), pdpt[0]);
	vmx_backend.unload(v);
}

/* --- what an entry check says --- */

static char said[4096];

static void collect(void *ctx, const char *line)
{
	(void)ctx;
	strlcat(said, line, sizeof(said));
	strlcat(said, "\n", sizeof(said));
}

static unsigned int broken(void)
{
	said[0] = '\0';
	return vmx_check(v, collect, NULL);
}

static void entry_checks(void **state)
{
	struct hv_segment s;

	(void)state;
	vmx_backend.load(v);
	v->rip = 0xfff0;
	assert_int_equal(broken(), 0);
#define BREAKS(what, text)                                     \
	do {                                                   \
		what;                                          \
		assert_true(broken() > 0);                     \
		assert_non_null(strstr(said, text));           \
		vmx_backend.vcpu_reset(v);                     \
		v->rip = 0xfff0;                               \
		v->rflags = HV_RFLAGS_RESERVED1;               \
	} while (0)
	BREAKS(vmx_write(VMCS_GUEST_CR0, BIT(31) | 0x20), "cr0.pg without cr0.pe");
	BREAKS(vmx_write(VMCS_GUEST_CR0, 0), "cr0 lacks fixed bits");
	BREAKS(vmx_write(VMCS_GUEST_CR4, 0), "cr4.vmxe is clear");
	BREAKS(vmx_write(VMCS_ENTRY_CTL, VMX_ENTRY_IA32E), "long mode without paging");
	BREAKS(vmx_write(VMCS_GUEST_EFER, HV_EFER_LMA), "efer.lma differs from the entry");
	BREAKS(vmx_write(VMCS_GUEST_SYSENTER_ESP, BIT(50)), "sysenter_esp is not canonical");
	BREAKS(v->rip = BIT(40), "rip is outside");
	BREAKS(v->rflags = 0, "rflags bit 1 is clear");
	BREAKS(v->rflags |= BIT(3), "rflags has reserved bits");
	BREAKS(vmx_write(VMCS_GUEST_ACTIVITY, 1), "activity state");
	BREAKS(vmx_write(VMCS_GUEST_INTR_STATE, 3), "both sti and mov ss");
	BREAKS(vmx_write(VMCS_GUEST_INTR_STATE, 1), "sti with rflags.if clear");
	BREAKS(vmx_write(VMCS_ENTRY_INTR_INFO, BIT(31) | 0x20), "interrupt injected while blocked");
	BREAKS((vmx_write(VMCS_ENTRY_INTR_INFO, BIT(31) | 2 << 8 | 2),
		vmx_write(VMCS_GUEST_INTR_STATE, 8)), "nmi injected while blocked");
	s = (struct hv_segment){ .limit = 0xffff, .attr = 0x12 };
	BREAKS(vmx_seg_set(v, HV_SEG_DS, &s), "ds is not a present");
	s = (struct hv_segment){ .attr = HV_SEG_UNUSABLE };
	BREAKS(vmx_seg_set(v, HV_SEG_CS, &s), "cs is unusable");
	s = (struct hv_segment){ .limit = 0x67, .attr = 0x93 };
	BREAKS(vmx_seg_set(v, HV_SEG_TR, &s), "tr is not");
	said[0] = '\0';
	hv_backend = &vmx_backend;
	v->gpr[GPR_R15] = 0xf15;
	vcpu_dump(v, collect, NULL);
	assert_non_null(strstr(said, "r15=0000000000000f15\ncr0=60000010 cr3=0"));
	assert_non_null(strstr(said, "rip=000000000000fff0"));
	assert_non_null(strstr(said, "cs   sel=f000 attr=0009b limit=0000ffff base=00000000ffff0000"));
	assert_non_null(strstr(said, "tsc_offset=0"));
	assert_null(strstr(said, "entry check"));
	vmx_backend.unload(v);
}

/* --- MSR bitmaps, EPT entries, VPIDs --- */

static void msr_bitmaps(void **state)
{
	const struct msr_map_format *f = vmx_backend.msr_map;
	uint64_t shared = vm->msr_map.pa;
	uint32_t r, w;

	(void)state;
	assert_int_equal(f->order, 0);
	assert_int_equal(f->bits(0x1fff, &r, &w), 0);
	assert_int_equal(r, 0x1fff);
	assert_int_equal(w, 0x800 * 8 + 0x1fff);
	assert_int_equal(f->bits(0xc0000000, &r, &w), 0);
	assert_int_equal(r, 0x400 * 8);
	assert_int_equal(w, 0xc00 * 8);
	assert_int_equal(f->bits(0x2000, &r, &w), -RAY_ERANGE);
	assert_int_equal(f->bits(0xc0002000, &r, &w), -RAY_ERANGE);
	assert_int_equal(f->bits(0xbfffffff, &r, &w), -RAY_ERANGE);
	vmx_backend.load(v); /* an existing vCPU gets another map with its next load */
	vmx_backend.unload(v);
	assert_int_equal(msr_map_pass(&vm->msr_map, 0x10, true, false), 0);
	assert_int_not_equal(vm->msr_map.pa, shared);
	vmx_backend.load(v);
	assert_int_equal(vmx_read(VMCS_MSR_BITMAP), vm->msr_map.pa);
	vmx_backend.unload(v);
}

static void ept_entries(void **state)
{
	const struct stage2_format *f = &vmx_ept_format;

	(void)state;
	assert_int_equal(f->table(HPA(0x5000)), 0x5007);
	assert_int_equal(f->leaf(HPA(0x5000), STAGE2_RWX, 0), 0x5037);
	assert_int_equal(f->leaf(HPA(0x200000), STAGE2_R, 1), 0x2000b1);
	assert_false(f->present(f->leaf(HPA(0x5000), STAGE2_W, 0))); /* a misconfiguration else */
	assert_true(f->is_leaf(0x2000b1, 1) && f->is_leaf(0x5037, 0) && !f->is_leaf(0x5007, 1));
	assert_int_equal(f->addr(0x80000000005fffull).v, 0x5000);
	assert_int_equal(f->prot(0x2000b1), STAGE2_R);
	assert_true(f->dirty(BIT(9)) && !f->dirty(0));
}

static void vpids_run_out_and_come_back(void **state)
{
	static uint16_t got[2000];
	unsigned int n = 0;

	(void)state;
	while ((got[n] = vmx_vpid_alloc()) != 0)
		n++;
	assert_true(n >= 64 * 8);
	struct vcpu other = { .vm = vm };
	assert_int_equal(vmx_backend.vcpu_init(&other), 0); /* untagged, but it works */
	assert_int_equal(other.vmx->vpid, 0);
	vmx_backend.vcpu_fini(&other);
	vmx_vpid_free(got[5]);
	assert_int_equal(vmx_vpid_alloc(), got[5]);
	while (n > 0)
		vmx_vpid_free(got[--n]);
	vmx_vpid_free(0);
}

static void a_vmcs_that_does_not_load_is_our_own_fault(void **state)
{
	(void)state;
	*(uint32_t *)v->vmx->vmcs = 0;
	EXPECT_PANIC(vmx_backend.load(v));
	*(uint32_t *)v->vmx->vmcs = FAKE_REVISION;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(controls_are_what_the_cpu_accepts),
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(probe_refuses_what_cannot_work),
		T(enabling_a_cpu),
		T(every_allocation_may_fail),
		T(reset_state),
		T(registers_round_trip),
		T(segments_fit_what_entries_want),
		T(long_mode_follows_paging),
		T(a_vcpu_moves_between_cpus),
		T(access_from_elsewhere_disturbs_nobody),
		T(spec_ctrl_is_switched_where_it_differs),
		T(flushes_come_before_the_next_entry),
		T(exit_kinds),
		T(exit_details),
		T(exceptions_and_host_events),
		T(events_cut_short_are_reported),
		T(injection),
		T(windows_and_shadows),
		T(state_goes_in_and_out),
		T(task_priority),
		T(pae_pointers_are_loaded),
		T(entry_checks),
		T(msr_bitmaps),
		T(ept_entries),
		T(vpids_run_out_and_come_back),
		T(a_vmcs_that_does_not_load_is_our_own_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
