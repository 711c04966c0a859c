/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bool guarded_enter(uint64_t *save_sp, fn, arg): keep what a caller may rely on (System V:
 * rbx, rbp, r12 to r15) on the stack, note where, call. A fault lands behind the call.
 */
	.text
	.balign	16
	.globl	guarded_enter
	.type	guarded_enter, @function
guarded_enter:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	subq	$8, %rsp
	movq	%rsi, %rax
	movq	%rdx, %rdi
	call	*%rax
	addq	$8, %rsp
	movl	$1, %eax
	jmp	1f
	.globl	guarded_land
guarded_land:
	xorl	%eax, %eax
1:	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size	guarded_enter, . - guarded_enter

	.section .note.GNU-stack, "", @progbits
