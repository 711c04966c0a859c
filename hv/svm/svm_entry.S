/* SPDX-License-Identifier: Apache-2.0 */
/*
 * World switch of the SVM backend, called by svm_enter() (svm_insn.h) only.
 * In: rdi vcpu, rax guest VMCB, rdx host VMCB (physical). Out: rdi, rbp and rsp as before; all
 * other registers are the guest's and of no use.
 *
 * GIF is 0 from before the first guest value is loaded until the host's GS base and frame
 * pointer are back, so no NMI or machine check ever sees a guest's (APM vol. 2, 15.17). IF is
 * 1 across VMRUN, because with V_INTR_MASKING it is the host's IF that lets physical
 * interrupts end the guest (15.21.1).
 */
#include "hv/vcpu_asm.h"
#include "kernel/arch/rsb_fill.h"

	.text
	.globl svm_switch
	.hidden svm_switch
	.type svm_switch, @function
	.balign 64
svm_switch:
	pushq	%rbp
	pushq	%rdx
	pushq	%rdi
	clgi
	sti
	vmload	%rax
	movq	VCPU_RCX(%rdi), %rcx
	movq	VCPU_RDX(%rdi), %rdx
	movq	VCPU_RBX(%rdi), %rbx
	movq	VCPU_RBP(%rdi), %rbp
	movq	VCPU_RSI(%rdi), %rsi
	movq	VCPU_R8(%rdi), %r8
	movq	VCPU_R9(%rdi), %r9
	movq	VCPU_R10(%rdi), %r10
	movq	VCPU_R11(%rdi), %r11
	movq	VCPU_R12(%rdi), %r12
	movq	VCPU_R13(%rdi), %r13
	movq	VCPU_R14(%rdi), %r14
	movq	VCPU_R15(%rdi), %r15
	movq	VCPU_RDI(%rdi), %rdi
	vmrun	%rax
	/* RAX and RSP are the host's again, GIF is 0. */
	vmsave	%rax
	movq	8(%rsp), %rax
	vmload	%rax
	movq	%rdi, %rax
	popq	%rdi
	movq	%rax, VCPU_RDI(%rdi)
	movq	%rcx, VCPU_RCX(%rdi)
	movq	%rdx, VCPU_RDX(%rdi)
	movq	%rbx, VCPU_RBX(%rdi)
	movq	%rbp, VCPU_RBP(%rdi)
	movq	%rsi, VCPU_RSI(%rdi)
	movq	%r8, VCPU_R8(%rdi)
	movq	%r9, VCPU_R9(%rdi)
	movq	%r10, VCPU_R10(%rdi)
	movq	%r11, VCPU_R11(%rdi)
	movq	%r12, VCPU_R12(%rdi)
	movq	%r13, VCPU_R13(%rdi)
	movq	%r14, VCPU_R14(%rdi)
	movq	%r15, VCPU_R15(%rdi)
	popq	%rcx
	popq	%rbp
	RSB_FILL %eax
	cli
	stgi				/* a pending NMI or machine check is taken here */
	ret
	.size svm_switch, . - svm_switch

	.section .note.GNU-stack, "", @progbits
