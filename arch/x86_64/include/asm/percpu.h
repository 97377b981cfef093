/* SPDX-License-Identifier: MIT */
/*
 * Where a CPU keeps itself: GS base is the distance of its per-CPU area, so %gs:x is this CPU's
 * copy of the per-CPU variable x.
 */
#ifndef ASM_PERCPU_H
#define ASM_PERCPU_H

#include <types.h>

struct thread;

/* Per-CPU: the CPU's own percpu_offset[], and the thread that runs on it. arch/x86_64/smp.c. */
extern unsigned long percpu_self;
extern struct thread *current_thread;

/*
 * Volatile: the load stays behind the compiler barrier of the caller's preempt_disable(), and a
 * thread that has been to sleep asks again. A memory operand alone would not do where the kernel is
 * compiled as one: there it is known that no C stores to percpu_self once threads run.
 */
static inline unsigned long arch_percpu_offset(void)
{
	unsigned long offset;

	__asm__ __volatile__("movq %%gs:%1, %0" : "=r"(offset) : "m"(percpu_self));
	return offset;
}

/* One access, so that being moved to another CPU beside it does no harm. */
static inline struct thread *arch_current(void)
{
	struct thread *t;

	__asm__("movq %%gs:%1, %0" : "=r"(t) : "m"(current_thread));
	return t;
}

#endif
