/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First instructions of the kernel, on the boot processor. RDI = struct boot_info, interrupts
 * off, the loader's page tables (boot/boot_info.h). The loader has zeroed .bss.
 */
	.section .text.entry, "ax"
	.globl	kernel_entry
	.type	kernel_entry, @function
kernel_entry:
	cli
	cld
	rdtsc
	movl	%eax, kernel_entry_tsc(%rip)
	movl	%edx, kernel_entry_tsc + 4(%rip)
	leaq	boot_stack_top(%rip), %rsp
	xorl	%ebp, %ebp
	pushq	%rbp		/* ends the frame-pointer chain, keeps 16-byte alignment */
	call	arch_start
	ud2
	.size	kernel_entry, . - kernel_entry

/*
 * The boot processor's stacks, each above a page that the kernel's page tables leave out.
 * The order is known to kernel/arch/bootstack.h.
 */
	.section .bss.boot_stacks, "aw", @nobits
	.balign	4096
	.globl	boot_stacks
boot_stacks:
	.skip	4096
	.skip	32768
	.globl	boot_stack_top
boot_stack_top:
	.rept	3
	.skip	4096
	.skip	8192
	.endr
	.globl	boot_stacks_end
boot_stacks_end:

	.section .note.GNU-stack, "", @progbits
