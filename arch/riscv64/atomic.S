// SPDX-License-Identifier: MIT
/*
 * u16 __atomic_fetch_add_2(u16 *p, u16 v, int order): the instruction set has no atomics on 16 bits
 * and gcc 12 calls it by this name (a debug build's count of entries). An LR/SC pair works on the
 * aligned word around p and keeps the other half. With aq and rl it is as strong as may be asked.
 */
	.text
	.globl __atomic_fetch_add_2
__atomic_fetch_add_2:
	andi	a3, a0, 2		/* a3: the place in the word, in bits; a4: the mask there */
	slli	a3, a3, 3
	andi	a0, a0, -4
	li	a4, 0xffff
	sllw	a4, a4, a3
	sllw	a1, a1, a3
1:	lr.w.aqrl a5, (a0)
	addw	t1, a5, a1
	xor	t0, a5, t1		/* the sum within the mask, the old value without */
	and	t0, t0, a4
	xor	t0, t0, a5
	sc.w.aqrl t1, t0, (a0)
	bnez	t1, 1b
	srlw	a0, a5, a3
	slli	a0, a0, 48
	srli	a0, a0, 48
	ret
