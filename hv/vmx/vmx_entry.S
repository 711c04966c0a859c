/* SPDX-License-Identifier: Apache-2.0 */
/*
 * World switch of the VMX backend, called by vmx_enter() (vmx_insn.h) only.
 * In: rdi vcpu, esi resume, rdx &host_rsp. Out: eax 0, or 1 when the entry was refused; rdi, rbp
 * and rsp as before; all other registers are the guest's and of no use.
 *
 * The CPU loads the host's segments, GS base and control registers from the VMCS itself, and
 * RFLAGS with IF clear; only general registers are moved here.
 */
#include "hv/vcpu_asm.h"
#include "kernel/arch/rsb_fill.h"

#define VMCS_HOST_RSP 0x6c14

	.text
	.globl vmx_switch
	.hidden vmx_switch
	.type vmx_switch, @function
	.balign 64
vmx_switch:
	pushq	%rbp
	pushq	%rdi
	cmpq	%rsp, (%rdx)
	je	1f
	movq	%rsp, (%rdx)
	movl	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax
1:	testl	%esi, %esi
	/* MOV leaves ZF alone until the choice below. */
	movq	VCPU_RAX(%rdi), %rax
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
	jz	2f
	vmresume
	jmp	3f
2:	vmlaunch
3:	/* Only a refused instruction gets here. */
	movl	$1, %eax
	popq	%rdi
	popq	%rbp
	ret

	.globl vmx_exit_point
	.hidden vmx_exit_point
	.type vmx_exit_point, @function
	.balign 64
vmx_exit_point:
	pushq	%rdi
	movq	8(%rsp), %rdi
	movq	%rax, VCPU_RAX(%rdi)
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
	popq	VCPU_RDI(%rdi)
	popq	%rax
	popq	%rbp
	RSB_FILL %eax
	xorl	%eax, %eax
	ret
	.size vmx_switch, . - vmx_switch

	.section .note.GNU-stack, "", @progbits
