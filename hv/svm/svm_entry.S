/* SPDX-License-Identifier: Apache-2.0 */
/*
 * World switch of the SVM backend: void svm_enter(vcpu, vmcb_pa, host_pa).
 *
 * GIF is 0 from before the first guest value is loaded until the host's GS base is back, so
 * no NMI or machine check ever sees a guest's GS base or TR (APM vol. 2, 15.17). IF is 1
 * across VMRUN, because with V_INTR_MASKING it is the host's IF that lets physical
 * interrupts end the guest (15.21.1).
 */
#include "hv/vcpu_asm.h"

	.text
	.globl svm_enter
	.type svm_enter, @function
	.balign 64
svm_enter:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rdx			/* host_pa, at 8(%rsp) below */
	pushq	%rdi			/* vcpu */
	movq	%rsi, %rax
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
	popq	%rax
	movq	%rcx, VCPU_RCX(%rax)
	movq	%rdx, VCPU_RDX(%rax)
	movq	%rbx, VCPU_RBX(%rax)
	movq	%rbp, VCPU_RBP(%rax)
	movq	%rsi, VCPU_RSI(%rax)
	movq	%rdi, VCPU_RDI(%rax)
	movq	%r8, VCPU_R8(%rax)
	movq	%r9, VCPU_R9(%rax)
	movq	%r10, VCPU_R10(%rax)
	movq	%r11, VCPU_R11(%rax)
	movq	%r12, VCPU_R12(%rax)
	movq	%r13, VCPU_R13(%rax)
	movq	%r14, VCPU_R14(%rax)
	movq	%r15, VCPU_R15(%rax)
	cli
	stgi				/* a pending NMI or machine check is taken here */
	popq	%rdx
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size svm_enter, . - svm_enter

	.section .note.GNU-stack, "", @progbits
