/* SPDX-License-Identifier: MIT */
/*
 * From one thread to another.
 *
 * Registers that a call may clobber are the caller's business; the rest stand in struct
 * arch_context. SP_EL0 (current), kernel_current and the stack change together, with interrupts
 * off, so that a trap finds either thread whole.
 */
#include <asm/thread.h>

	.text
/* struct thread *arch_context_switch(struct thread *prev, struct thread *next); prev comes back. */
	.globl arch_context_switch
arch_context_switch:
	stp	x19, x20, [x0, #CTX_X19]
	stp	x21, x22, [x0, #CTX_X19 + 16]
	stp	x23, x24, [x0, #CTX_X19 + 32]
	stp	x25, x26, [x0, #CTX_X19 + 48]
	stp	x27, x28, [x0, #CTX_X19 + 64]
	stp	x29, x30, [x0, #CTX_FP]
	mov	x2, sp
	str	x2, [x0, #CTX_SP]

	ldp	x19, x20, [x1, #CTX_X19]
	ldp	x21, x22, [x1, #CTX_X19 + 16]
	ldp	x23, x24, [x1, #CTX_X19 + 32]
	ldp	x25, x26, [x1, #CTX_X19 + 48]
	ldp	x27, x28, [x1, #CTX_X19 + 64]
	ldp	x29, x30, [x1, #CTX_FP]
	ldr	x2, [x1, #CTX_SP]
	mov	sp, x2
	msr	sp_el0, x1
	adrp	x2, kernel_current
	add	x2, x2, :lo12:kernel_current
	mrs	x3, tpidr_el1
	str	x1, [x2, x3]
	ret

/* A new thread's first instruction: x0 is the thread that ran before, and there is no caller. */
	.globl thread_entry
thread_entry:
	mov	x30, #0
	b	thread_start
