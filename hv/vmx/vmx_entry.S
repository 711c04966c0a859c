/* SPDX-License-Identifier: Apache-2.0 */
/*
 * World switch of the VMX backend, called by vmx_enter() (vmx_insn.h) only.
 * In: rbx vcpu. Out: eax 0, or 1 when the entry was refused; rbx, rbp and rsp as before; all
 * other registers are the guest's and of no use.
 *
 * The CPU loads the host's segments, GS base and control registers from the VMCS itself, and
 * RFLAGS with IF clear; only general registers are moved here. The VMCS's HOST_RSP is the vcpu
 * for good, so that an exit finds the place for the guest's registers without one of its own
 * to spare. Nothing may push until RSP is the thread's again: IRQs are off, and NMI and machine
 * check have stacks of their own.
 */
#include "hv/vcpu_asm.h"
#include "kernel/arch/rsb_fill.h"

	.text

.macro ENTRY_POINT name, insn
	.globl \name
	.hidden \name
	.type \name, @function
	.balign 64
\name:
	pushq	%rbp
	movq	%rsp, VCPU_HOST_RSP(%rbx)
	movq	%rbx, %rsp
	movq	VCPU_RAX(%rsp), %rax
	movq	VCPU_RCX(%rsp), %rcx
	movq	VCPU_RDX(%rsp), %rdx
	movq	VCPU_RBX(%rsp), %rbx
	movq	VCPU_RBP(%rsp), %rbp
	movq	VCPU_RSI(%rsp), %rsi
	movq	VCPU_RDI(%rsp), %rdi
	movq	VCPU_R8(%rsp), %r8
	movq	VCPU_R9(%rsp), %r9
	movq	VCPU_R10(%rsp), %r10
	movq	VCPU_R11(%rsp), %r11
	movq	VCPU_R12(%rsp), %r12
	movq	VCPU_R13(%rsp), %r13
	movq	VCPU_R14(%rsp), %r14
	movq	VCPU_R15(%rsp), %r15
	\insn
	/* Only a refused instruction gets here. */
	movl	$1, %eax
	jmp	.Lback
	.size \name, . - \name
.endm

ENTRY_POINT vmx_launch, vmlaunch
ENTRY_POINT vmx_resume, vmresume

	.globl vmx_exit_point
	.hidden vmx_exit_point
	.type vmx_exit_point, @function
	.balign 64
vmx_exit_point:
	movq	%rax, VCPU_RAX(%rsp)
	movq	%rcx, VCPU_RCX(%rsp)
	movq	%rdx, VCPU_RDX(%rsp)
	movq	%rbx, VCPU_RBX(%rsp)
	movq	%rbp, VCPU_RBP(%rsp)
	movq	%rsi, VCPU_RSI(%rsp)
	movq	%rdi, VCPU_RDI(%rsp)
	movq	%r8, VCPU_R8(%rsp)
	movq	%r9, VCPU_R9(%rsp)
	movq	%r10, VCPU_R10(%rsp)
	movq	%r11, VCPU_R11(%rsp)
	movq	%r12, VCPU_R12(%rsp)
	movq	%r13, VCPU_R13(%rsp)
	movq	%r14, VCPU_R14(%rsp)
	movq	%r15, VCPU_R15(%rsp)
	xorl	%eax, %eax
.Lback:
	movq	%rsp, %rbx
	movq	VCPU_HOST_RSP(%rsp), %rsp
	popq	%rbp
	RSB_FILL %ecx
	ret
	.size vmx_exit_point, . - vmx_exit_point

	.section .note.GNU-stack, "", @progbits
