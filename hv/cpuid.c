/* SPDX-License-Identifier: Apache-2.0 */
#include "hv/cpuid.h"

#include <string.h>

#include "hv/hv.h"
#include "hv/msr.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/time/time.h"

#define LEAF_EXT 0x80000000u
#define LEAF_HV  0x40000000u

/* Leaf 1 ECX and EDX: what a guest may have if the host has it (SDM vol. 2, CPUID). */
#define L1_ECX_PASS                                                                                \
	(BIT(0) | BIT(1) | BIT(9) | BIT(12) | BIT(13) | BIT(17) | BIT(19) | BIT(20) | BIT(22) |    \
	 BIT(23) | BIT(25) | BIT(26) | BIT(28) | BIT(29) | BIT(30))
#define L1_ECX_X2APIC       BIT(21)
#define L1_ECX_TSC_DEADLINE BIT(24)
#define L1_ECX_XSAVE        BIT(26)
#define L1_ECX_OSXSAVE      BIT(27)
#define L1_ECX_HYPERVISOR   BIT(31)
#define L1_EDX_PASS                                                                                \
	(BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(9) |  \
	 BIT(11) | BIT(12) | BIT(13) | BIT(14) | BIT(15) | BIT(16) | BIT(17) | BIT(19) | BIT(23) | \
	 BIT(24) | BIT(25) | BIT(26) | BIT(27))
#define L1_EDX_HTT BIT(28)
/* Leaf 7: no MPX, no TSX, no SGX, no PT, no RDT, no CET, no AMX, no LA57. */
#define L7_EBX_PASS                                                                                \
	(BIT(0) | BIT(3) | BIT(5) | BIT(7) | BIT(8) | BIT(9) | BIT(10) | BIT(16) | BIT(17) |       \
	 BIT(18) | BIT(19) | BIT(20) | BIT(21) | BIT(23) | BIT(24) | BIT(28) | BIT(29) | BIT(30) | \
	 BIT(31))
#define L7_ECX_PASS                                                                                \
	(BIT(1) | BIT(2) | BIT(3) | BIT(6) | BIT(8) | BIT(9) | BIT(10) | BIT(11) | BIT(12) |       \
	 BIT(14) | BIT(22))
#define LD1_EAX_XSAVEC BIT(1)
#define LD_ECX_ALIGNED BIT(1)
#define L7_EDX_MD_CLEAR  BIT(10)
#define L7_EDX_SPEC_CTRL BIT(26) /* IBRS in SPEC_CTRL, IBPB in PRED_CMD */
#define L7_EDX_STIBP     BIT(27)
#define L7_EDX_ARCH_CAPS BIT(29)
#define L7_EDX_SSBD      BIT(31)
#define L7_EDX_PASS                                                                                \
	(BIT(4) | BIT(8) | L7_EDX_MD_CLEAR | L7_EDX_SPEC_CTRL | L7_EDX_STIBP | L7_EDX_ARCH_CAPS |  \
	 L7_EDX_SSBD)
/* 0x80000008 EBX: CLZERO, WBNOINVD, and AMD's names of the same (APM vol. 3, E.4.7). */
#define X8_EBX_IBPB  BIT(12)
#define X8_EBX_IBRS  BIT(14)
#define X8_EBX_STIBP BIT(15)
#define X8_EBX_SSBD  BIT(24)
#define X8_EBX_PASS                                                                                \
	(BIT(0) | BIT(9) | X8_EBX_IBPB | X8_EBX_IBRS | X8_EBX_STIBP | BIT(16) | BIT(17) | BIT(18) | \
	 BIT(19) | X8_EBX_SSBD | BIT(26))
/* ARCH_CAPABILITIES (SDM vol. 4, table 2-2): what the CPU is free of, and how it is made so. */
#define ARCH_CAPS_PASS                                                                             \
	(BIT(0) | BIT(1) | BIT(2) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(13) | BIT(14) |         \
	 BIT(15) | BIT(17) | BIT(19) | BIT(20) | BIT(24) | BIT(26) | BIT(27) | BIT(28))
#define ARCH_CAPS_SKIP_L1DFL BIT(3) /* guests run no guests of their own */
/* 0x80000001 (APM vol. 3, E.4.2): no SVM, no IBS, no performance counters, no LWP. */
#define X1_ECX_PASS                                                                                \
	(BIT(0) | BIT(1) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(11) | BIT(16) | BIT(21))
#define X1_EDX_PASS                                                                                \
	(0x183f3ffull | BIT(11) | BIT(16) | BIT(17) | BIT(20) | BIT(22) | BIT(25) | BIT(26) |      \
	 BIT(27) | BIT(29))
#define X1_EDX_RDTSCP BIT(27)
/* State components (SDM vol. 1, 13.1): x87, SSE, AVX, AVX-512. */
#define XCR0_PASS (BIT(0) | BIT(1) | BIT(2) | BIT(5) | BIT(6) | BIT(7))

static struct cpuid_out host(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r = cpuid(leaf, subleaf);

	return (struct cpuid_out){ r.eax, r.ebx, r.ecx, r.edx };
}

static void sub_add(struct cpuid_model *m, uint32_t leaf, uint32_t subleaf, struct cpuid_out out)
{
	if (m->sub_count < CPUID_SUB_MAX)
		m->sub[m->sub_count++] = (struct cpuid_sub){ leaf, subleaf, out };
}

/* --- basic leaves --- */

static void leaf_1(struct cpuid_model *m, const struct vcpu *v)
{
	struct cpuid_out *o = &m->basic[1];
	uint32_t n = v->vm->def.vcpus;

	o->ebx = (o->ebx & 0x0000ff00u) | n << 16 | v->id << 24;
	o->ecx &= (uint32_t)L1_ECX_PASS;
	o->ecx |= (uint32_t)(L1_ECX_X2APIC | L1_ECX_TSC_DEADLINE | L1_ECX_HYPERVISOR);
	o->edx &= (uint32_t)L1_EDX_PASS;
	if (n > 1)
		o->edx |= (uint32_t)L1_EDX_HTT;
	m->xsave = (o->ecx & L1_ECX_XSAVE) != 0;
}

/* Deterministic cache parameters: keep the shapes, every cache private to its core. */
static void leaf_caches(struct cpuid_model *m, uint32_t leaf, uint32_t vcpus)
{
	for (uint32_t i = 0; i < 4; i++) {
		struct cpuid_out o = host(leaf, i);

		if ((o.eax & 0x1f) == 0)
			break;
		o.eax &= 0x3ff;
		if (leaf == 4)
			o.eax |= (vcpus - 1) << 26;
		sub_add(m, leaf, i, o);
	}
}

static void leaf_topology(struct cpuid_model *m, const struct vcpu *v)
{
	uint32_t n = v->vm->def.vcpus;
	uint32_t shift = n > 1 ? 32u - (uint32_t)__builtin_clz(n - 1) : 0;

	/* One thread a core, all cores in one package (SDM vol. 3, 9.9.5). */
	sub_add(m, 0xb, 0, (struct cpuid_out){ 0, 1, 1 << 8, v->id });
	sub_add(m, 0xb, 1, (struct cpuid_out){ shift, n, 2 << 8 | 1, v->id });
	sub_add(m, 0xb, 2, (struct cpuid_out){ 0, 0, 2, v->id });
}

/*
 * Bytes of an XSAVE area with these components enabled: each at its place, or compacted, one
 * behind the other (SDM vol. 1, 13.4.2 and 13.4.3).
 */
static uint32_t xsave_size(uint64_t components, bool compacted)
{
	uint32_t size = 576; /* legacy region and header, SDM vol. 1, 13.4 */

	for (uint32_t i = 2; i < 63; i++) {
		struct cpuid_out o;

		if ((components & BIT(i)) == 0)
			continue;
		o = host(0xd, i);
		if (compacted && (o.ecx & LD_ECX_ALIGNED) != 0)
			size = ALIGN_UP(size, 64u);
		size = compacted ? size + o.eax : MAX(size, o.ebx + o.eax);
	}
	return size;
}

static void leaf_xsave(struct cpuid_model *m)
{
	struct cpuid_out all = host(0xd, 0);
	uint32_t features;

	m->xcr0_mask = (((uint64_t)all.edx << 32) | all.eax) & XCR0_PASS;
	sub_add(m, 0xd, 0,
		(struct cpuid_out){ (uint32_t)m->xcr0_mask, 0, xsave_size(m->xcr0_mask, false), 0 });
	/* XSAVEOPT, XSAVEC and XGETBV(1); no XSAVES, so no supervisor components. */
	features = host(0xd, 1).eax & 7u;
	if (!hv_xsavec_usable())
		features &= (uint32_t)~LD1_EAX_XSAVEC;
	sub_add(m, 0xd, 1, (struct cpuid_out){ features, 0, 0, 0 });
	for (uint32_t i = 2; i < 8; i++) {
		if ((m->xcr0_mask & BIT(i)) != 0)
			sub_add(m, 0xd, i, host(0xd, i));
	}
}

static void basic_build(struct cpuid_model *m, const struct vcpu *v)
{
	uint32_t top = host(0, 0).eax;

	m->basic_top = MIN(MAX(top, 0xdu), 0x16u);
	for (uint32_t leaf = 0; leaf <= MIN(m->basic_top, top); leaf++)
		m->basic[leaf] = host(leaf, 0);
	m->basic[0].eax = m->basic_top;
	m->amd = m->basic[0].ebx == 0x68747541 || m->basic[0].ebx == 0x6f677948;
	leaf_1(m, v);
	m->basic[4] = (struct cpuid_out){ 0, 0, 0, 0 };
	if (!m->amd)
		leaf_caches(m, 4, v->vm->def.vcpus);
	m->basic[5] = (struct cpuid_out){ 0, 0, 0, 0 }; /* no MONITOR */
	m->basic[6] = (struct cpuid_out){ 4, 0, 0, 0 }; /* APIC timer always runs (ARAT) */
	m->basic[7].eax = 0;
	m->basic[7].ebx &= (uint32_t)L7_EBX_PASS;
	m->basic[7].ecx &= (uint32_t)L7_ECX_PASS;
	m->basic[7].edx &= (uint32_t)L7_EDX_PASS;
	sub_add(m, 7, 0, m->basic[7]);
	m->basic[7] = (struct cpuid_out){ 0, 0, 0, 0 };
	for (uint32_t leaf = 8; leaf < CPUID_BASIC_MAX; leaf++)
		m->basic[leaf] = (struct cpuid_out){ 0, 0, 0, 0 };
	leaf_topology(m, v);
	if (m->xsave)
		leaf_xsave(m);
	else
		m->xcr0_mask = 3;
}

/* --- extended leaves --- */

static void ext_build(struct cpuid_model *m, const struct vcpu *v)
{
	uint32_t top = host(LEAF_EXT, 0).eax;
	uint32_t n = v->vm->def.vcpus;

	m->ext_top = MIN(top, m->amd ? 0x8000001eu : 0x80000008u);
	for (uint32_t leaf = LEAF_EXT; leaf <= m->ext_top; leaf++)
		m->ext[leaf - LEAF_EXT] = host(leaf, 0);
	m->ext[0].eax = m->ext_top;
	m->ext[1].ecx &= (uint32_t)X1_ECX_PASS;
	m->ext[1].edx &= (uint32_t)X1_EDX_PASS;
	m->rdtscp = (m->ext[1].edx & X1_EDX_RDTSCP) != 0;
	m->ext[7] = (struct cpuid_out){ 0, 0, 0, BIT(8) }; /* invariant TSC */
	m->maxphyaddr = (uint8_t)(m->ext[8].eax & 0xff);
	m->ext[8].ebx &= (uint32_t)X8_EBX_PASS;
	m->ext[8].ecx = m->amd ? n - 1 : 0;
	m->ext[8].edx = 0;
	for (uint32_t i = 9; i < CPUID_EXT_MAX; i++) {
		if (i != 0x19)
			m->ext[i] = (struct cpuid_out){ 0, 0, 0, 0 };
	}
	if (!m->amd)
		return;
	if (n > 1)
		m->ext[1].ecx |= BIT(1); /* CmpLegacy: cores, not threads */
	if (m->ext_top >= 0x8000001du && (m->ext[1].ecx & BIT(22)) != 0)
		leaf_caches(m, 0x8000001du, n);
	if (m->ext_top >= 0x8000001eu)
		m->ext[0x1e] = (struct cpuid_out){ v->id, v->id, 0, 0 };
}

/* --- the hypervisor's leaves: KVM's, so that stock kernels know them --- */

static void hv_build(struct cpuid_model *m)
{
	uint64_t features = PV_FEATURE_CLOCKSOURCE | PV_FEATURE_NOP_IO_DELAY |
			    PV_FEATURE_CLOCKSOURCE2 | PV_FEATURE_STEAL_TIME | PV_FEATURE_PV_EOI |
			    PV_FEATURE_PV_UNHALT | PV_FEATURE_PV_TLB_FLUSH |
			    PV_FEATURE_PV_SEND_IPI | PV_FEATURE_PV_YIELD;

	if (time_tsc_stable())
		features |= PV_FEATURE_CLOCK_STABLE;
	m->hv[0] = (struct cpuid_out){ LEAF_HV + 0x10, 0x4b4d564b, 0x564b4d56, 0x4d }; /* KVMKVMKVM */
	m->hv[1] = (struct cpuid_out){ (uint32_t)features, 0, 0, 0 };
	/* TSC and APIC timer frequency in kHz. */
	m->hv[0x10] = (struct cpuid_out){ (uint32_t)(time_tsc_hz() / 1000), 1000000, 0, 0 };
}

static void masks_build(struct cpuid_model *m)
{
	const struct cpuid_out *l7 = &m->sub[0].out;

	for (uint32_t i = 0; i < m->sub_count; i++) {
		if (m->sub[i].leaf == 7)
			l7 = &m->sub[i].out;
	}
	m->cr4_mask = 0x7ff; /* VME .. OSXMMEXCPT */
	if ((l7->ecx & BIT(2)) != 0)
		m->cr4_mask |= BIT(11); /* UMIP */
	if ((l7->ebx & BIT(0)) != 0)
		m->cr4_mask |= BIT(16); /* FSGSBASE */
	if ((m->basic[1].ecx & BIT(17)) != 0)
		m->cr4_mask |= BIT(17); /* PCIDE */
	if (m->xsave)
		m->cr4_mask |= HV_CR4_OSXSAVE;
	if ((l7->ebx & BIT(7)) != 0)
		m->cr4_mask |= HV_CR4_SMEP;
	if ((l7->ebx & BIT(20)) != 0)
		m->cr4_mask |= HV_CR4_SMAP;
	m->efer_mask = HV_EFER_SCE | HV_EFER_LME | HV_EFER_LMA | HV_EFER_NXE;
	if (m->amd)
		m->efer_mask |= BIT(14); /* FFXSR */
}

static void speculation_build(struct cpuid_model *m)
{
	uint32_t intel = 0, amd = m->amd ? m->ext[8].ebx : 0;

	for (uint32_t i = 0; i < m->sub_count; i++) {
		if (m->sub[i].leaf == 7)
			intel = m->sub[i].out.edx;
	}
	if ((intel & L7_EDX_SPEC_CTRL) != 0 || (amd & X8_EBX_IBRS) != 0)
		m->spec_ctrl_mask |= SPEC_CTRL_IBRS;
	if ((intel & L7_EDX_STIBP) != 0 || (amd & X8_EBX_STIBP) != 0)
		m->spec_ctrl_mask |= SPEC_CTRL_STIBP;
	if ((intel & L7_EDX_SSBD) != 0 || (amd & X8_EBX_SSBD) != 0)
		m->spec_ctrl_mask |= SPEC_CTRL_SSBD;
	m->ibpb = (intel & L7_EDX_SPEC_CTRL) != 0 || (amd & X8_EBX_IBPB) != 0;
	m->has_arch_caps = (intel & L7_EDX_ARCH_CAPS) != 0;
	if (m->has_arch_caps)
		m->arch_caps = (rdmsr(MSR_ARCH_CAPABILITIES) & ARCH_CAPS_PASS) |
			       ARCH_CAPS_SKIP_L1DFL;
}

int cpuid_model_create(struct vcpu *v)
{
	struct cpuid_model *m = kzalloc(sizeof(*m), MEM_VM);

	if (m == NULL)
		return -RAY_ENOMEM;
	basic_build(m, v);
	ext_build(m, v);
	hv_build(m);
	masks_build(m);
	speculation_build(m);
	v->cpuid = m;
	return 0;
}

void cpuid_model_destroy(struct vcpu *v)
{
	kfree(v->cpuid);
	v->cpuid = NULL;
}

/* EBX of leaf 0xD, subleaves 0 and 1: what the guest's XCR0 makes of it now. */
static uint32_t xsave_size_now(const struct vcpu *v, uint32_t subleaf, uint32_t features)
{
	uint64_t xcr0 = v->loaded ? xgetbv0() : v->xcr0; /* see fpu_out() */

	if (subleaf == 1 && !(features & LD1_EAX_XSAVEC))
		return 0;
	return xsave_size(xcr0, subleaf == 1);
}

static const struct cpuid_out *sub_find(const struct cpuid_model *m, uint32_t leaf, uint32_t subleaf)
{
	for (uint32_t i = 0; i < m->sub_count; i++) {
		if (m->sub[i].leaf == leaf && m->sub[i].subleaf == subleaf)
			return &m->sub[i].out;
	}
	return NULL;
}

static bool has_subleaves(uint32_t leaf)
{
	return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd || leaf == 0x8000001du;
}

void vcpu_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf, struct cpuid_out *out)
{
	static const struct cpuid_out none;
	const struct cpuid_model *m = v->cpuid;
	const struct cpuid_out *o = &none;

	if (has_subleaves(leaf)) {
		const struct cpuid_out *s = sub_find(m, leaf, subleaf);

		/* Beyond the last level, leaf 0xB still tells the APIC ID. */
		if (s == NULL && leaf == 0xb)
			s = sub_find(m, leaf, 2);
		if (s != NULL)
			o = s;
	} else if (leaf <= m->basic_top) {
		o = &m->basic[leaf];
	} else if (leaf >= LEAF_EXT && leaf <= m->ext_top) {
		o = &m->ext[leaf - LEAF_EXT];
	} else if (leaf >= LEAF_HV && leaf < LEAF_HV + CPUID_HV_MAX) {
		o = &m->hv[leaf - LEAF_HV];
	}
	*out = *o;
	if (leaf == 1 && (hv_backend->reg_get(v, HV_REG_CR4) & HV_CR4_OSXSAVE) != 0)
		out->ecx |= (uint32_t)L1_ECX_OSXSAVE;
	else if (leaf == 0xd && subleaf <= 1)
		out->ebx = xsave_size_now(v, subleaf, out->eax);
}
