/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start of every test guest: Multiboot 1 and PVH, 32-bit entry, long mode with 4 GiB mapped
 * one to one, guest_main(magic, info) in C. Also the interrupt stubs and the start of
 * further CPUs.
 */
#define MB_MAGIC  0x1badb002
#define MB_FLAGS  0x3 /* page-aligned modules, memory information */
#define CR0_LONG  0x80010033 /* PG WP NE ET MP PE */
#define CR4_PAE   0x20
#define MSR_EFER  0xc0000080
#define EFER_LME  0x100
#define PTE_TABLE 0x3
#define PTE_LARGE 0x83
#define STACK     16384

	.section .head, "a"
	.align 4
	.long MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)

	/* PVH: XEN_ELFNOTE_PHYS32_ENTRY */
	.section .note.pvh, "a", @note
	.align 4
	.long 4, 4, 18
	.asciz "Xen"
	.long _start

	.text
	.code32
	.globl _start
_start:
	cli
	cld
	/* Multiboot says so in EAX; PVH leaves EAX alone and passes its information in EBX. */
	movl %eax, boot_magic
	movl %ebx, boot_data
	movl $boot_stack + STACK, %esp

	/* Page tables: four directories of 2 MiB pages. */
	movl $pdpt + PTE_TABLE, pml4
	movl $pd + PTE_TABLE, %eax
	xorl %ecx, %ecx
1:	movl %eax, pdpt(, %ecx, 8)
	addl $0x1000, %eax
	incl %ecx
	cmpl $4, %ecx
	jb 1b
	movl $PTE_LARGE, %eax
	xorl %ecx, %ecx
2:	movl %eax, pd(, %ecx, 8)
	addl $0x200000, %eax
	incl %ecx
	cmpl $2048, %ecx
	jb 2b
	call enter_long
	.code64
	movl boot_magic, %edi
	movl boot_data, %esi
	call guest_main
3:	cli
	hlt
	jmp 3b

	/* Turns paging and long mode on and returns to the caller in 64-bit code. */
	.code32
enter_long:
	popl %ebp
	movl $pml4, %eax
	movl %eax, %cr3
	movl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl $CR0_LONG, %eax
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $8, $1f
	.code64
1:	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movl %ebp, %eax
	jmp *%rax

	/*
	 * Where a started CPU begins, copied to the page that the SIPI names: real mode, CS:0.
	 */
	.code16
	.globl ap_begin, ap_end
ap_begin:
	cli
	lgdtl %cs:ap_gdt_pointer - ap_begin
	movl $0x11, %eax
	movl %eax, %cr0
	ljmpl $24, $ap_protected
	.align 8
ap_gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
ap_end:
	.code32
ap_protected:
	movl $32, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl ap_stack, %esp
	call enter_long
	.code64
	call ap_main
4:	cli
	hlt
	jmp 4b

	.macro stub vector error
	.align 16
	.ifeq \error
	pushq $0
	.endif
	pushq $\vector
	jmp common_stub
	.endm

	.align 16
	.globl isr_stubs
isr_stubs:
	.set v, 0
	.rept 256
	.if v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21 || v == 29 || v == 30
	stub v, 1
	.else
	stub v, 0
	.endif
	.set v, v + 1
	.endr

common_stub:
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rbx
	pushq %rbp
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	movq %rsp, %rdi
	call isr_common
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rbp
	popq %rbx
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq

	.data
	.align 8
gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 8: 64-bit code */
	.quad 0x00cf93000000ffff /* 16: data */
	.quad 0x00cf9b000000ffff /* 24: 32-bit code */
	.quad 0x00cf93000000ffff /* 32: 32-bit data */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt

	.bss
	.align 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pd:	.skip 4 * 4096
boot_stack: .skip STACK
boot_magic: .skip 4
boot_data: .skip 4
	.align 8
	.globl ap_stack
ap_stack: .skip 8

	.section .note.GNU-stack, "", @progbits
