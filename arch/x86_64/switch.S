/* SPDX-License-Identifier: MIT */
/*
 * Context switch. smp.c's struct switch_frame is what lies on a switched-out thread's stack.
 */

	.text
/* struct thread *arch_context_switch(struct thread *prev, struct thread *next) */
	.globl	arch_context_switch
arch_context_switch:
	pushq	%rbp
	movq	%rsp, %rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)		/* prev->ctx.sp */
	movq	(%rsi), %rsp
	movq	%rsi, %gs:current_thread
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	movq	%rdi, %rax
	ret

/* Where a new thread's first switch returns to; rbp = 0 ends its backtraces. */
	.globl	thread_first
thread_first:
	movq	%rax, %rdi
	call	thread_start
	ud2
