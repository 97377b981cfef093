/* SPDX-License-Identifier: MIT */
/*
 * What C11 atomics do not give: see <atomic.h>. Both are calls into the model: order.c, cpu.c.
 */
#ifndef GRACE_ASM_BARRIER_H
#define GRACE_ASM_BARRIER_H

/* Completes the full barrier of a read-modify-write, on machines where it needs completing. */
void sim_mb_after_rmw(void);
#ifdef HOST_NATIVE /* the host's, which is an x86_64 */
#define arch_mb_after_rmw() __asm__ __volatile__("" ::: "memory")
#else
#define arch_mb_after_rmw() sim_mb_after_rmw()
#endif

/* A loop that waits: the CPU is not run again until something that the loop read has changed. */
void sim_relax(void);
#define cpu_relax() sim_relax()

#endif
