/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V ABI: rbx, rbp, r12 to r15 survive a call; everything else the caller has saved.
 * RFLAGS needs no saving: interrupts are off on both sides.
 */
	.text
	.balign	16
	.globl	switch_stack
	.type	switch_stack, @function
switch_stack:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rsi)
	movq	%rdx, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	movq	%rdi, %rax
	ret
	.size	switch_stack, . - switch_stack

	/* A new stack's first return address; rdi still holds prev. */
	.balign	16
	.globl	switch_first
	.type	switch_first, @function
switch_first:
	xorl	%ebp, %ebp
	call	thread_begin
	ud2
	.size	switch_first, . - switch_first

	.balign	16
	.globl	switch_stack_call
	.type	switch_stack_call, @function
switch_stack_call:
	movq	%rdi, %rsp
	xorl	%ebp, %ebp
	movq	%rdx, %rdi
	call	*%rsi
	ud2
	.size	switch_stack_call, . - switch_stack_call

	.section .note.GNU-stack, "", @progbits
