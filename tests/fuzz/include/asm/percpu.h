/* SPDX-License-Identifier: MIT */
/*
 * One CPU, one thread: shim.c has it.
 */
#ifndef GRACE_ASM_PERCPU_H
#define GRACE_ASM_PERCPU_H

struct thread;
struct thread *shim_current(void);

static inline struct thread *arch_current(void)
{
	return shim_current();
}

static inline unsigned long arch_percpu_offset(void)
{
	return 0;
}

#endif
