/* SPDX-License-Identifier: MIT */
/*
 * Memory order of x86: loads and stores keep their order but for a store before a load of another
 * place (SDM vol. 3, 8.2.2), and a locked instruction is a full barrier.
 */
#ifndef ASM_BARRIER_H
#define ASM_BARRIER_H

/* The exchange before it was a locked instruction: only the compiler must be held back. */
#define arch_mb_after_rmw() __asm__ __volatile__("" ::: "memory")

/* In a loop that waits for another CPU. */
#define cpu_relax() __asm__ __volatile__("pause" ::: "memory")

#endif
