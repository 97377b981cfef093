/* SPDX-License-Identifier: MIT */
/*
 * What <atomic.h> needs of the port.
 */
#ifndef ASM_BARRIER_H
#define ASM_BARRIER_H

/*
 * A seq_cst read-modify-write is LDAXR/STLXR here. It keeps earlier accesses before the STLXR and
 * later ones after the LDAXR, but a later plain access may still pass between the two and so become
 * visible before the STLXR's store (DDI 0487 B2.3). The DMB closes that gap: with it, the operation
 * is a full barrier for plain accesses on both sides. Pairs with whatever the caller's comment
 * names.
 */
static inline void arch_mb_after_rmw(void)
{
	__asm__ __volatile__("dmb ish" ::: "memory");
}

static inline void cpu_relax(void)
{
	__asm__ __volatile__("yield" ::: "memory");
}

#endif
