/* SPDX-License-Identifier: MIT */
/*
 * Where a CPU keeps itself: TPIDR_EL1 is the distance of its per-CPU area, SP_EL0 the running
 * thread.
 *
 * The kernel runs on SP_EL1, so SP_EL0 is free while in the kernel; entries from user mode save the
 * user's stack pointer and load it from kernel_current (trap.S).
 */
#ifndef ASM_PERCPU_H
#define ASM_PERCPU_H

#include <types.h>

struct thread;

/*
 * volatile: a thread may move to another CPU where preemption is on, so the value must be read
 * after the preempt_disable() that the caller made, and is (both are volatile asm).
 */
static inline unsigned long arch_percpu_offset(void)
{
	unsigned long offset;

	__asm__ __volatile__("mrs %0, tpidr_el1" : "=r"(offset));
	return offset;
}

/* Not volatile: a thread is the same thread wherever it runs. */
static inline struct thread *arch_current(void)
{
	struct thread *t;

	__asm__("mrs %0, sp_el0" : "=r"(t));
	return t;
}

#endif
