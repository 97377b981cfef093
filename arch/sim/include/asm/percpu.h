/* SPDX-License-Identifier: MIT */
/*
 * The virtual CPU that runs now: its thread and the distance of its per-CPU area. Read by
 * instructions that the compiler does not instrument: no CPU can be stopped between them.
 */
#ifndef GRACE_ASM_PERCPU_H
#define GRACE_ASM_PERCPU_H

struct thread;
extern struct thread *sim_thread;
extern unsigned long sim_percpu;

static inline struct thread *arch_current(void)
{
	struct thread *t;

	__asm__ __volatile__("movq sim_thread, %0" : "=r"(t));
	return t;
}

static inline unsigned long arch_percpu_offset(void)
{
	unsigned long offset;

	__asm__ __volatile__("movq sim_percpu, %0" : "=r"(offset));
	return offset;
}

#endif
