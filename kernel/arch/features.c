/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/features.h"

#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/msr_index.h"

static struct cpu_features features;

/*
 * PAT entries by index (SDM vol. 3 sec. 11.12): 0 WB, 1 WT, 2 UC-, 3 UC as after reset, and
 * 4 WC, 5 WP, 6 UC-, 7 UC. kernel/mm/vmap.c uses 0, 3 and 4.
 */
#define PAT_VALUE 0x0007050100070406ull

static void read_vendor(struct cpu_features *f)
{
	struct cpuid_regs r = cpuid(0, 0);
	uint32_t sig;

	f->max_leaf = r.eax;
	memcpy(f->vendor, &r.ebx, 4);
	memcpy(f->vendor + 4, &r.edx, 4);
	memcpy(f->vendor + 8, &r.ecx, 4);
	f->max_ext_leaf = cpuid(0x80000000, 0).eax;
	sig = cpuid(1, 0).eax;
	f->family = (sig >> 8) & 0xf;
	f->model = (sig >> 4) & 0xf;
	f->stepping = sig & 0xf;
	/* SDM vol. 2A, CPUID, fig. 3-6. */
	if (f->family == 6 || f->family == 15)
		f->model |= (sig >> 12) & 0xf0;
	if (f->family == 15)
		f->family += (sig >> 20) & 0xff;
	if (f->max_ext_leaf >= 0x80000004) {
		for (unsigned int i = 0; i < 3; i++) {
			r = cpuid(0x80000002 + i, 0);
			memcpy(f->brand + 16 * i, &r, 16);
		}
	}
}

#define HAS(reg, n) (((reg) >> (n)) & 1)

static void read_basic(struct cpu_features *f)
{
	struct cpuid_regs r = cpuid(1, 0);

	f->x2apic = HAS(r.ecx, 21);
	f->tsc_deadline = HAS(r.ecx, 24);
	f->xsave = HAS(r.ecx, 26);
	f->rdrand = HAS(r.ecx, 30);
	f->hypervisor = HAS(r.ecx, 31);
	f->mce = HAS(r.edx, 7);
	f->mca = HAS(r.edx, 14);
	f->pat = HAS(r.edx, 16);
	if (f->max_leaf >= 7) {
		r = cpuid(7, 0);
		f->tsc_adjust = HAS(r.ebx, 1);
		f->smep = HAS(r.ebx, 7);
		f->rdseed = HAS(r.ebx, 18);
		f->smap = HAS(r.ebx, 20);
		f->umip = HAS(r.ecx, 2);
		f->srbds_ctrl = HAS(r.edx, 9);
		f->md_clear = HAS(r.edx, 10);
		f->spec_ctrl = f->ibpb = HAS(r.edx, 26);
		f->stibp = HAS(r.edx, 27);
		f->l1d_flush = HAS(r.edx, 28);
		f->arch_caps = HAS(r.edx, 29);
		f->ssbd = HAS(r.edx, 31);
	}
	if (f->xsave) {
		r = cpuid(0xd, 0);
		f->xcr0 = r.eax | ((uint64_t)r.edx << 32);
		f->xsave_size = r.ecx;
		r = cpuid(0xd, 1);
		f->xsaveopt = HAS(r.eax, 0);
		f->xsavec = HAS(r.eax, 1);
		f->xsaves = HAS(r.eax, 3);
	}
}

static void read_extended(struct cpu_features *f)
{
	struct cpuid_regs r;

	f->phys_bits = 36;
	f->virt_bits = 48;
	if (f->max_ext_leaf >= 0x80000001) {
		r = cpuid(0x80000001, 0);
		f->nx = HAS(r.edx, 20);
		f->page_1g = HAS(r.edx, 26);
		f->rdtscp = HAS(r.edx, 27);
	}
	if (f->max_ext_leaf >= 0x80000007)
		f->tsc_invariant = HAS(cpuid(0x80000007, 0).edx, 8);
	if (f->max_ext_leaf >= 0x80000008) {
		r = cpuid(0x80000008, 0);
		f->phys_bits = r.eax & 0xff;
		f->virt_bits = (r.eax >> 8) & 0xff;
		/* AMD's names for the same (APM vol. 3, Fn8000_0008_EBX). */
		f->ibpb |= HAS(r.ebx, 12);
		f->spec_ctrl |= HAS(r.ebx, 14);
		f->stibp |= HAS(r.ebx, 15);
		f->ssbd |= HAS(r.ebx, 24);
		f->virt_ssbd = HAS(r.ebx, 25);
	}
	if (f->max_ext_leaf >= 0x80000021)
		f->auto_ibrs = HAS(cpuid(0x80000021, 0).eax, 8);
}

const struct cpu_features *cpu_features(void)
{
	return &features;
}

static void control_registers(const struct cpu_features *f)
{
	uint64_t cr0 = cr0_read() & ~(CR0_EM | CR0_TS | CR0_CD | CR0_NW);
	uint64_t cr4 = CR4_PAE | CR4_PGE | CR4_DE | CR4_OSFXSR | CR4_OSXMMEXCPT;

	if (f->mce)
		cr4 |= CR4_MCE;
	if (f->umip)
		cr4 |= CR4_UMIP;
	if (f->smep)
		cr4 |= CR4_SMEP;
	if (f->smap)
		cr4 |= CR4_SMAP;
	if (f->xsave)
		cr4 |= CR4_OSXSAVE;
	cr0_write(cr0 | CR0_WP | CR0_NE | CR0_MP | CR0_AM);
	cr4_write(cr4);
	if (f->xsave)
		xsetbv0(f->xcr0);
}

const char *cpu_init(void)
{
	struct cpu_features *f = &features;

	if (f->vendor[0] == '\0') {
		read_vendor(f);
		read_basic(f);
		read_extended(f);
	}
	if (!f->nx)
		return "the CPU has no NX bit, or the firmware hides it";
	if (!f->pat)
		return "the CPU has no page attribute table";
	if (cr4_read() & CR4_LA57)
		return "the firmware left 5-level paging on";
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	wrmsr(MSR_PAT, PAT_VALUE);
	control_registers(f);
	if (f->arch_caps && f->arch_capabilities == 0)
		f->arch_capabilities = rdmsr(MSR_ARCH_CAPABILITIES);
	return NULL;
}
