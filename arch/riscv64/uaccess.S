// SPDX-License-Identifier: MIT
/*
 * Copying between kernel and user memory. Access is open (SUM); a fault that cannot be resolved
 * goes on at `fault`, where a2 still says how much is left, because it is counted down only after a
 * store.
 */
	.macro ex insn:vararg
900:	\insn
	.pushsection .ex_table, "a"
	.balign	8
	.8byte	900b, fault
	.popsection
	.endm

	.text
/* size_t arch_user_copy(void *dst, const void *src, size_t n, bool to_user) */
	.globl arch_user_copy
arch_user_copy:
	or	t0, a0, a1
	andi	t0, t0, 7
	li	t1, 8
	bnez	t0, 2f
1:	bltu	a2, t1, 2f
	ex	ld t0, (a1)
	ex	sd t0, (a0)
	addi	a0, a0, 8
	addi	a1, a1, 8
	addi	a2, a2, -8
	j	1b
2:	beqz	a2, fault
	ex	lbu t0, (a1)
	ex	sb t0, (a0)
	addi	a0, a0, 1
	addi	a1, a1, 1
	addi	a2, a2, -1
	j	2b
fault:
	mv	a0, a2
	ret
