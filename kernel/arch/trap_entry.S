/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 256 interrupt stubs of 16 bytes and the common path that builds struct trap_frame. The
 * kernel runs nothing in ring 3 and the GS base is always its own, so there is no SWAPGS.
 */
	.text
	.balign	16
	.globl	trap_stubs
trap_stubs:
	vector = 0
	.rept	256
	.balign	16
	/* SDM vol. 3 sec. 6.15: the vectors with an error code are 8, 10 to 14, 17, 21, 29, 30. */
	.if (vector != 8) && (vector < 10 || vector > 14) && (vector != 17) && (vector != 21) \
		&& (vector != 29) && (vector != 30)
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_common
	vector = vector + 1
	.endr

	.balign	16
trap_common:
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%rbp
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	/* A made-up frame, so that a backtrace shows the interrupted function too. */
	pushq	136(%rsp)
	pushq	%rbp
	movq	%rsp, %rbp
	call	trap_dispatch
	addq	$16, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rbp
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	addq	$16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
