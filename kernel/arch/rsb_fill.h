/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fill the return stack buffer, for assembly: 32 calls whose returns, if any is ever
 * predicted from them, lead into a loop that goes nowhere. Between a guest's exit and the
 * first RET of the host. Does nothing while mitigations are off.
 */
#ifndef RAYOS_KERNEL_ARCH_RSB_FILL_H
#define RAYOS_KERNEL_ARCH_RSB_FILL_H

#ifdef __ASSEMBLY__
#define RSB_FILL_ROUNDS 8
#define RSB_FILL_CALLS  4 /* in a round: fewer instructions than a loop over single calls */

/* Clobbers \count and flags; needs 256 bytes of stack. */
.macro RSB_FILL count
	testl	$1, mitigations(%rip)	/* MITIGATE_RSB_FILL */
	jz	.Lrsb_done\@
	movl	$RSB_FILL_ROUNDS, \count
.Lrsb_round\@:
	.rept	RSB_FILL_CALLS
	call	771f
770:	pause
	lfence
	jmp	770b
771:
	.endr
	decl	\count
	jnz	.Lrsb_round\@
	addq	$(RSB_FILL_ROUNDS * RSB_FILL_CALLS * 8), %rsp
	lfence				/* the loop's own branch may have been guessed wrong */
.Lrsb_done\@:
.endm
#endif

#endif
