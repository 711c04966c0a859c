/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See handover.h. rdi = struct handover; SysV ABI.
 * Bits: Intel SDM vol. 3A, 2.5 (CR0, CR4) and 2.2.1 (EFER).
 */
#include "boot/handover.h"

#define CR0_WP    (1 << 16)
#define CR0_PG    (1 << 31)
#define CR4_PGE   (1 << 7)
#define CR4_LA57  (1 << 12)
#define CR4_PCIDE (1 << 17)
#define CR4_CET   (1 << 23)
#define MSR_EFER  0xc0000080
#define EFER_NXE  (1 << 11)

	.section .rodata.handover, "a"
	.globl handover_code, handover_code64, handover_code_end
	.balign 16
	.code64
handover_code:
	cli
	cld

	/* Global and tagged entries of the firmware would survive the new CR3; control-flow
	 * enforcement would refuse the jump and must go before CR0.WP may change. */
	mov %cr4, %rax
	and $~(CR4_PGE | CR4_PCIDE | CR4_CET), %rax
	mov %rax, %cr4
	mov %rax, %rsi

	/* The new tables have NX bits, reserved until this is set. */
	mov $MSR_EFER, %ecx
	rdmsr
	or $EFER_NXE, %eax
	wrmsr

	mov %cr0, %rax
	or $CR0_WP, %rax
	mov %rax, %cr0

	test $CR4_LA57, %esi
	jz handover_code64

	/* The number of levels can only change while paging is off, and that only outside of
	 * 64-bit mode (SDM vol. 3A, 4.1.1 and 10.8.5.4). */
	lgdt HANDOVER_GDTR(%rdi)
	lea .Lcode32(%rip), %rax
	push $HANDOVER_CS32
	push %rax
	lretq

	.code32
.Lcode32:
	mov $HANDOVER_DS, %eax
	mov %eax, %ds
	mov %eax, %ss
	mov %cr0, %eax
	and $~CR0_PG, %eax
	mov %eax, %cr0
	mov HANDOVER_CR3(%edi), %eax
	mov %eax, %cr3
	and $~CR4_LA57, %esi
	mov %esi, %cr4
	/* EFER.LME is still set: paging leads back to long mode. */
	mov %cr0, %eax
	or $CR0_PG, %eax
	mov %eax, %cr0
	ljmp *HANDOVER_FAR(%edi)

	.code64
handover_code64:
	/* Coming from 32-bit code, the upper half of a register is undefined. */
	mov %edi, %edi
	mov HANDOVER_STACK(%rdi), %rsp
	mov HANDOVER_ENTRY(%rdi), %rsi
	mov HANDOVER_CR3(%rdi), %rax
	mov HANDOVER_INFO(%rdi), %rdi
	mov %rax, %cr3
	/* As if called, with no return address and no caller's frame. */
	push $0
	xor %ebp, %ebp
	jmp *%rsi
handover_code_end:

	.section .note.GNU-stack, "", @progbits
