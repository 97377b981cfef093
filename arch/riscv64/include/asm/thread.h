/* SPDX-License-Identifier: MIT */
/*
 * What the port keeps of a thread, at the start of struct thread, where tp points.
 */
#ifndef GRACE_ASM_THREAD_H
#define GRACE_ASM_THREAD_H

/* Offsets for assembly; cpu.c checks them. */
#define CTX_PERCPU_OFFSET 0
#define CTX_KERNEL_SP 8
#define CTX_TRAP_SP 16
#define CTX_RA 24
#define CTX_SP 32
#define CTX_S0 40

#ifndef __ASSEMBLY__
#include <types.h>

struct arch_context {
	u64 percpu_offset; /* of the CPU that it runs on: written when it is switched to */
	u64 kernel_sp;	   /* where a trap from user mode begins its stack */
	u64 trap_sp;	   /* trap entry's: sp at the trap, while sp is being replaced */
	u64 ra, sp, s[12]; /* while switched out */
};
#endif

#endif
