// SPDX-License-Identifier: MIT
/*
 * Atomic operations on 8 and 16 bits, which the instruction set lacks and gcc 12 calls by these
 * names (the ticket lock's, flags). An LR/SC pair works on the aligned word around them and keeps
 * the rest. Both carry aq and rl, so each is ordered as strongly as a caller may ask.
 */
	.text
	/* a0: the address; becomes the word's. a3: the place in it, in bits. a4: the mask there. */
	.macro sub_word low_bits, mask
	andi	a3, a0, \low_bits
	slli	a3, a3, 3
	andi	a0, a0, -4
	li	a4, \mask
	sllw	a4, a4, a3
	.endm

	/* t0: a5 with the masked bits of \new. */
	.macro merge new
	xor	t0, a5, \new
	and	t0, t0, a4
	xor	t0, t0, a5
	.endm

/* u16 __atomic_fetch_add_2(u16 *p, u16 v, int order) */
	.globl __atomic_fetch_add_2
__atomic_fetch_add_2:
	sub_word 2, 0xffff
	sllw	a1, a1, a3
1:	lr.w.aqrl a5, (a0)
	addw	t1, a5, a1
	merge	t1
	sc.w.aqrl t1, t0, (a0)
	bnez	t1, 1b
	srlw	a0, a5, a3
	slli	a0, a0, 48
	srli	a0, a0, 48
	ret

/* bool __atomic_compare_exchange_N(uN *p, uN *expected, uN desired, int success, int failure) */
	.macro compare_exchange name, low_bits, mask, load, store
	.globl \name
\name:
	sub_word \low_bits, \mask
	\load	t2, (a1)
	sllw	t2, t2, a3
	sllw	a2, a2, a3
1:	lr.w.aqrl a5, (a0)
	and	t1, a5, a4
	bne	t1, t2, 2f
	merge	a2
	sc.w.aqrl t1, t0, (a0)
	bnez	t1, 1b
	li	a0, 1
	ret
2:	srlw	t1, t1, a3
	\store	t1, (a1)
	li	a0, 0
	ret
	.endm
	compare_exchange __atomic_compare_exchange_1, 3, 0xff, lbu, sb
	compare_exchange __atomic_compare_exchange_2, 2, 0xffff, lhu, sh
