// SPDX-License-Identifier: MIT
/*
 * Switching threads. Only what a C function must preserve is saved: the rest is on the stack
 * already.
 */
#include <asm/thread.h>

	.text
/*
 * struct thread *arch_context_switch(struct thread *prev, struct thread *next). irqs off. prev
 * stays in a0: for next it is the return value.
 */
	.globl arch_context_switch
arch_context_switch:
	.macro each_s op, reg
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	\op	s\n, CTX_S0 + 8 * \n(\reg)
	.endr
	.endm
	sd	ra, CTX_RA(a0)
	sd	sp, CTX_SP(a0)
	each_s	sd, a0
	ld	t0, CTX_PERCPU_OFFSET(a0)
	sd	t0, CTX_PERCPU_OFFSET(a1)
	mv	tp, a1
	ld	ra, CTX_RA(a1)
	ld	sp, CTX_SP(a1)
	each_s	ld, a1
	ret

/* Where a new thread resumes: a0 = the thread before it. Backtraces end here. */
	.globl context_first
context_first:
	mv	ra, zero
	mv	s0, zero
	la	t0, thread_start
	jr	t0
