/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See handover.h. rdi = boot_info, rsi = entry, rdx = CR3, rcx = stack; SysV ABI.
 * Bits: Intel SDM vol. 3A, 2.5 (CR0, CR4) and 2.2.1 (EFER).
 */
#define CR0_WP     (1 << 16)
#define CR4_PGE    (1 << 7)
#define CR4_PCIDE  (1 << 17)
#define CR4_CET    (1 << 23)
#define MSR_EFER   0xc0000080
#define EFER_NXE   (1 << 11)

	.section .rodata.handover, "a"
	.globl handover_code, handover_code_end
	.balign 16
handover_code:
	cli
	cld
	mov %rdx, %r8
	mov %rcx, %r9

	/* Global and tagged entries of the firmware would survive the new CR3; control-flow
	 * enforcement would refuse the jump and must go before CR0.WP may change. */
	mov %cr4, %rax
	and $~(CR4_PGE | CR4_PCIDE | CR4_CET), %rax
	mov %rax, %cr4

	/* The new tables have NX bits, reserved until this is set. */
	mov $MSR_EFER, %ecx
	rdmsr
	or $EFER_NXE, %eax
	wrmsr

	mov %cr0, %rax
	or $CR0_WP, %rax
	mov %rax, %cr0

	mov %r8, %cr3
	mov %r9, %rsp
	/* As if called, with no return address and no caller's frame. */
	push $0
	xor %ebp, %ebp
	jmp *%rsi
handover_code_end:

	.section .note.GNU-stack, "", @progbits
