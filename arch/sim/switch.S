/* SPDX-License-Identifier: MIT */
/*
 * sim_switch(save, load, arg): leaves one coroutine and resumes another, which sees arg returned.
 */
	.text
	.globl sim_switch
	.type sim_switch, @function
sim_switch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	movq %rdx, %rax
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret

/* Where a new coroutine begins: its function is in rbx; what the switch brought is its argument. */
	.globl sim_first
	.type sim_first, @function
sim_first:
	movq %rax, %rdi
	xorl %ebp, %ebp
	andq $-16, %rsp
	call *%rbx
	ud2
	.section .note.GNU-stack, "", @progbits
