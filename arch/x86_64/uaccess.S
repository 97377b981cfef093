/* SPDX-License-Identifier: MIT */
/*
 * Copies to and from user memory. Each instruction that may fault has an entry in the exception
 * table: {instruction, where to go on}. See trap.c, arch_fixup().
 */

.macro may_fault from, to
	.section .ex_table, "a"
	.balign	8
	.quad	\from, \to
	.previous
.endm

	.text
/*
 * size_t arch_user_copy(void *dst, const void *src, size_t n, bool to_user)
 * A faulting rep movsb has counted rcx down to what is left. Eight bytes go in one access each way.
 */
	.globl	arch_user_copy
arch_user_copy:
	pushq	%rbp
	movq	%rsp, %rbp
	cmpq	$8, %rdx
	je	2f
	movq	%rdx, %rcx
1:	rep movsb
	may_fault 1b, 4f
4:	movq	%rcx, %rax
	popq	%rbp
	ret
2:	movq	(%rsi), %rax
	may_fault 2b, 5f
3:	movq	%rax, (%rdi)
	may_fault 3b, 5f
	xorl	%eax, %eax
	popq	%rbp
	ret
5:	movq	%rdx, %rax
	popq	%rbp
	ret
