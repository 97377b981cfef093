/* SPDX-License-Identifier: MIT */
/*
 * tp holds the running thread from boot on. The per-CPU offset is in the thread's context, because
 * user mode may change every register: one register then is enough to find both.
 */
#ifndef GRACE_ASM_PERCPU_H
#define GRACE_ASM_PERCPU_H

#include <asm/thread.h>

struct thread;
register struct thread *riscv_tp __asm__("tp");

static inline struct thread *arch_current(void)
{
	return riscv_tp;
}

/* Volatile: the same thread finds another value after it has moved to another CPU. */
static inline unsigned long arch_percpu_offset(void)
{
	return ((const volatile struct arch_context *)riscv_tp)->percpu_offset;
}

#endif
