/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fill the return stack buffer, for assembly: 32 calls whose returns, if any is ever
 * predicted from them, lead into a loop that goes nowhere. Between a guest's exit and the
 * first RET of the host. Does nothing while mitigations are off.
 */
#ifndef RAYOS_KERNEL_ARCH_RSB_FILL_H
#define RAYOS_KERNEL_ARCH_RSB_FILL_H

#ifdef __ASSEMBLY__
#define RSB_FILL_ROUNDS 16

/* Clobbers \count and flags; needs 256 bytes of stack. */
.macro RSB_FILL count
	testl	$1, mitigations(%rip)	/* MITIGATE_RSB_FILL */
	jz	.Lrsb_done\@
	movl	$RSB_FILL_ROUNDS, \count
.Lrsb_round\@:
	call	.Lrsb_first\@
.Lrsb_trap1\@:
	pause
	lfence
	jmp	.Lrsb_trap1\@
.Lrsb_first\@:
	call	.Lrsb_second\@
.Lrsb_trap2\@:
	pause
	lfence
	jmp	.Lrsb_trap2\@
.Lrsb_second\@:
	decl	\count
	jnz	.Lrsb_round\@
	addq	$(RSB_FILL_ROUNDS * 2 * 8), %rsp
.Lrsb_done\@:
.endm
#endif

#endif
