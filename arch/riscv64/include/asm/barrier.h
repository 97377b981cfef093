/* SPDX-License-Identifier: MIT */
/*
 * What C11 atomics do not give: see <atomic.h>.
 */
#ifndef GRACE_ASM_BARRIER_H
#define GRACE_ASM_BARRIER_H

/*
 * gcc 12 makes a compare-exchange from LR.aq and SC.aq: a later load may be done before the SC.
 * This completes the full barrier that <atomic.h> promises.
 */
static inline void arch_mb_after_rmw(void)
{
	__asm__ __volatile__("fence rw, rw" ::: "memory");
}

/* Orders device registers against each other, against memory and against CSRs. */
static inline void arch_io_mb(void)
{
	__asm__ __volatile__("fence iorw, iorw" ::: "memory");
}

/* The PAUSE hint (Zihintpause): a FENCE that orders nothing, so every CPU accepts it. */
static inline void cpu_relax(void)
{
	__asm__ __volatile__(".4byte 0x0100000f" ::: "memory");
}

#endif
