/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host tests' hv/vmx/vmx_insn.h: VMCSs as arrays of fields, with the rules of SDM vol. 3,
 * 25.11.3 that software must keep. Breaking one aborts: touching fields without a current
 * VMCS, loading one that another CPU holds, launching what is not clear.
 */
#ifndef RAYOS_HV_VMX_INSN_H
#define RAYOS_HV_VMX_INSN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/percpu.h"
#include "kernel/lib/types.h"
#include "kernel/mm/page.h"

struct vcpu;

#define FAKE_VMCS_MAX    8u
#define FAKE_VMCS_FIELDS 0x7000u
#define FAKE_REVISION    0x1234u

struct fake_vmcs {
	uint64_t pa; /* 0: free */
	bool launched;
	int cpu;     /* where it is current, or -1 */
	uint64_t field[FAKE_VMCS_FIELDS];
};

FAKE_WEAK struct fake_vmcs fake_vmcs[FAKE_VMCS_MAX];
FAKE_WEAK bool fake_vmx_on[FAKE_CPUS];
FAKE_WEAK bool fake_vmxon_fails;
FAKE_WEAK unsigned int fake_invept, fake_invvpid, fake_vmwrites, fake_host_nmi, fake_host_mce;

#define FAKE_VMX_CHECK(c)                                                                  \
	do {                                                                               \
		if (!(c)) {                                                                \
			fprintf(stderr, "vmx model: %s at %s:%d\n", #c, __FILE__,          \
				__LINE__);                                                 \
			abort();                                                           \
		}                                                                          \
	} while (0)

static inline uint32_t fake_revision_at(uint64_t pa)
{
	return *(const uint32_t *)hpa_to_va(HPA(pa));
}

static inline struct fake_vmcs *fake_vmcs_at(uint64_t pa)
{
	struct fake_vmcs *unused = NULL;

	for (unsigned int i = 0; i < FAKE_VMCS_MAX; i++) {
		if (fake_vmcs[i].pa == pa)
			return &fake_vmcs[i];
		if (fake_vmcs[i].pa == 0 && !unused)
			unused = &fake_vmcs[i];
	}
	FAKE_VMX_CHECK(unused);
	memset(unused, 0, sizeof(*unused));
	unused->pa = pa;
	unused->cpu = -1;
	return unused;
}

static inline struct fake_vmcs *fake_vmcs_current(void)
{
	for (unsigned int i = 0; i < FAKE_VMCS_MAX; i++) {
		if (fake_vmcs[i].pa && fake_vmcs[i].cpu == (int)fake_cpu_now)
			return &fake_vmcs[i];
	}
	return NULL;
}

static inline bool vmx_on(uint64_t region_pa)
{
	FAKE_VMX_CHECK(!fake_vmx_on[fake_cpu_now] && (cr4_read() & BIT(13)));
	FAKE_VMX_CHECK(fake_revision_at(region_pa) == FAKE_REVISION);
	fake_vmx_on[fake_cpu_now] = !fake_vmxon_fails;
	return !fake_vmxon_fails;
}

static inline void vmx_off(void)
{
	FAKE_VMX_CHECK(fake_vmx_on[fake_cpu_now] && !fake_vmcs_current());
	fake_vmx_on[fake_cpu_now] = false;
}

static inline bool vmx_clear(uint64_t vmcs_pa)
{
	struct fake_vmcs *v = fake_vmcs_at(vmcs_pa);

	FAKE_VMX_CHECK(fake_vmx_on[fake_cpu_now]);
	FAKE_VMX_CHECK(v->cpu < 0 || v->cpu == (int)fake_cpu_now);
	v->cpu = -1;
	v->launched = false;
	return true;
}

static inline bool vmx_ptrld(uint64_t vmcs_pa)
{
	struct fake_vmcs *v = fake_vmcs_at(vmcs_pa), *old = fake_vmcs_current();

	FAKE_VMX_CHECK(fake_vmx_on[fake_cpu_now]);
	FAKE_VMX_CHECK(v->cpu < 0 || v->cpu == (int)fake_cpu_now);
	if (fake_revision_at(vmcs_pa) != FAKE_REVISION)
		return false;
	if (old)
		old->cpu = -1; /* still active, but no longer current */
	v->cpu = (int)fake_cpu_now;
	return true;
}

static inline uint64_t vmx_read(uint64_t field)
{
	FAKE_VMX_CHECK(fake_vmcs_current() && field < FAKE_VMCS_FIELDS);
	return fake_vmcs_current()->field[field];
}

static inline void vmx_read_to(uint64_t field, uint64_t *out)
{
	*out = vmx_read(field);
}

static inline void vmx_write(uint64_t field, uint64_t v)
{
	FAKE_VMX_CHECK(fake_vmcs_current() && field < FAKE_VMCS_FIELDS);
	fake_vmwrites++;
	/* 16- and 32-bit fields keep only what they hold (appendix B: bits 13 and 14). */
	if ((field >> 13 & 3) == 0)
		v = (uint16_t)v;
	else if ((field >> 13 & 3) == 2)
		v = (uint32_t)v;
	fake_vmcs_current()->field[field] = v;
}

static inline void vmx_invept(uint64_t type, uint64_t eptp)
{
	FAKE_VMX_CHECK(type == 1 ? eptp != 0 : type == 2);
	fake_invept++;
}

static inline void vmx_invvpid(uint64_t type, uint16_t vpid)
{
	FAKE_VMX_CHECK(type == 1 ? vpid != 0 : type == 2);
	fake_invvpid++;
}

static inline void vmx_host_nmi(void)
{
	fake_host_nmi++;
}

static inline void vmx_host_mce(void)
{
	fake_host_mce++;
}

/* Scripted by the test. */
struct vcpu *vmx_enter(struct vcpu *vcpu, bool launch, int *failed);
void vmx_exit_point(void);

#endif
