/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMX instructions that C code uses (SDM vol. 3, ch. 31); VMLAUNCH and VMRESUME are in
 * vmx_entry.S. Shadowed by a model in host tests.
 * Context: IRQs off or preemption off, so that the current VMCS stays the one meant.
 */
#ifndef RAYOS_HV_VMX_INSN_H
#define RAYOS_HV_VMX_INSN_H

#include "kernel/arch/trap.h"
#include "kernel/lib/types.h"

struct vcpu;

/* Both failures of SDM 31.2 in one: CF (no current VMCS) or ZF (error number in the VMCS). */
#define VMX_OK(insn) insn "; setna %0"

static inline bool vmx_on(uint64_t region_pa)
{
	uint8_t failed;

	__asm__ volatile(VMX_OK("vmxon %1") : "=qm"(failed) : "m"(region_pa) : "cc", "memory");
	return !failed;
}

static inline void vmx_off(void)
{
	__asm__ volatile("vmxoff" : : : "cc", "memory");
}

static inline bool vmx_clear(uint64_t vmcs_pa)
{
	uint8_t failed;

	__asm__ volatile(VMX_OK("vmclear %1") : "=qm"(failed) : "m"(vmcs_pa) : "cc", "memory");
	return !failed;
}

static inline bool vmx_ptrld(uint64_t vmcs_pa)
{
	uint8_t failed;

	__asm__ volatile(VMX_OK("vmptrld %1") : "=qm"(failed) : "m"(vmcs_pa) : "cc", "memory");
	return !failed;
}

/* Pre: the CPU has the field; else the value is any. */
static inline uint64_t vmx_read(uint64_t field)
{
	uint64_t v;

	__asm__ volatile("vmread %1, %0" : "=r"(v) : "r"(field) : "cc");
	return v;
}

/** The same, straight to memory. */
static inline void vmx_read_to(uint64_t field, uint64_t *out)
{
	__asm__ volatile("vmread %1, %0" : "=m"(*out) : "r"(field) : "cc");
}

static inline void vmx_write(uint64_t field, uint64_t v)
{
	__asm__ volatile("vmwrite %1, %0" : : "r"(field), "rm"(v) : "cc", "memory");
}

struct vmx_inv_desc {
	uint64_t first;  /* VPID, or the EPT pointer */
	uint64_t second;
};

static inline void vmx_invept(uint64_t type, uint64_t eptp)
{
	const struct vmx_inv_desc d = { .first = eptp };

	__asm__ volatile("invept %0, %1" : : "m"(d), "r"(type) : "cc", "memory");
}

static inline void vmx_invvpid(uint64_t type, uint16_t vpid)
{
	const struct vmx_inv_desc d = { .first = vpid };

	__asm__ volatile("invvpid %0, %1" : : "m"(d), "r"(type) : "cc", "memory");
}

/** Hand an NMI that ended the guest to this CPU's own handler. */
static inline void vmx_host_nmi(void)
{
	__asm__ volatile("int $2" : : : "memory");
}

/** Hand a machine check that ended the guest to the host: a panic, or it returns. */
static inline void vmx_host_mce(void)
{
	trap_mce(NULL);
}

#define VMX_ENTER(how)                                                                         \
	__asm__ volatile("call " how                                                           \
			 : "=a"(*failed), "+b"(vcpu)                                           \
			 :                                                                     \
			 : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", \
			   "r14", "r15", "cc", "memory")

/**
 * Enter the current VMCS and come back (vmx_entry.S).
 * @vcpu    HOST_RSP of the VMCS; GPRs but RSP are taken and given back
 * @launch  the VMCS is clear: VMLAUNCH, else VMRESUME
 * @failed  set to 0 after an exit, to 1 when the instruction failed (error number in the VMCS,
 *          or none when there is no current VMCS)
 * Returns: @vcpu. Whoever goes on with that, and with what it points to, spares the compiler
 *          from keeping its own copies across a call that leaves no register alone.
 * Context: IRQs off.
 */
static __force_inline struct vcpu *vmx_enter(struct vcpu *vcpu, bool launch, int *failed)
{
	if (launch)
		VMX_ENTER("vmx_launch");
	else
		VMX_ENTER("vmx_resume");
	return vcpu;
}
/** Where an exit arrives: VMCS_HOST_RIP. Not callable. */
void vmx_exit_point(void);

#endif
