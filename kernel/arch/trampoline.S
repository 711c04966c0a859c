/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copied to a page below 1 MiB; started there in real mode with CS = page >> 4, IP = 0
 * (SDM vol. 3 sec. 9.4.4). Data of the page is addressed from DS = CS.
 */
#include "kernel/arch/gdt.h"
#include "kernel/arch/msr_index.h"
#include "kernel/arch/trampoline.h"

	/* PE, ET, NE, WP, PG; CD and NW, which INIT sets, cleared. */
#define CR0_VALUE 0x80010031
#define CR4_VALUE 0x20		/* PAE */
#define EFER_VALUE 0x900	/* LME, NXE */

	.section .rodata.trampoline, "a", @progbits
	.code16
	.balign	16
	.globl	trampoline_begin
trampoline_begin:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	movl	$1, %eax
	xchgl	%eax, TRAMPOLINE_CLAIMED
	testl	%eax, %eax
	jnz	trampoline_halt
	lgdtl	TRAMPOLINE_GDTR
	movl	$CR4_VALUE, %eax
	movl	%eax, %cr4
	movl	TRAMPOLINE_CR3, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	movl	$EFER_VALUE, %eax
	xorl	%edx, %edx
	wrmsr
	/* Real mode to long mode in one step: PE and PG together (AMD APM vol. 2 sec. 14.6). */
	movl	$CR0_VALUE, %eax
	movl	%eax, %cr0
	ljmpl	*TRAMPOLINE_FAR
trampoline_halt:
	hlt
	jmp	trampoline_halt

	.code64
	.balign	16
	.globl	trampoline_long
trampoline_long:
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	/* The page's data, relative to its first byte. */
	leaq	trampoline_begin(%rip), %rbx
	movq	TRAMPOLINE_STACK(%rbx), %rsp
	movq	TRAMPOLINE_ARG(%rbx), %rdi
	xorl	%ebp, %ebp
	call	*TRAMPOLINE_ENTRY(%rbx)
	ud2
	.globl	trampoline_end
trampoline_end:

	.section .note.GNU-stack, "", @progbits
