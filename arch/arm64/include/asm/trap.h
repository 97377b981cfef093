/* SPDX-License-Identifier: MIT */
/*
 * The trap frame, and how backtraces read stacks.
 */
#ifndef ASM_TRAP_H
#define ASM_TRAP_H

/* Offsets for trap.S; trap.c asserts them. */
#define TF_X0 0
#define TF_X30 240
#define TF_PC 256
#define TF_RECORD 272
#define TF_ESR 288
#define TF_SIZE 304

#define PSTATE_I 0x80
#define PSTATE_MODE 0xf /* 0: EL0; 5: EL1 on SP_EL1 */

/* What trap_bad() is told. */
#define TRAP_FIQ 0
#define TRAP_SERROR 1
#define TRAP_OVERFLOW 2
#define TRAP_WRONG_STACK 3
#define TRAP_AARCH32 4

#ifndef __ASSEMBLY__
#include <types.h>

struct trap_frame {
	u64 x[31];
	u64 sp, pc, pstate;
	u64 record[2]; /* a frame record {fp, pc + 4}, so that backtraces go through the trap */
	u64 esr, far;
};

static inline vaddr_t trap_pc(const struct trap_frame *tf)
{
	return tf->pc;
}
static inline vaddr_t trap_fp(const struct trap_frame *tf)
{
	return tf->x[29];
}
static inline bool trap_irqs_on(const struct trap_frame *tf)
{
	return !(tf->pstate & PSTATE_I);
}
static inline bool trap_from_user(const struct trap_frame *tf)
{
	return (tf->pstate & PSTATE_MODE) == 0;
}

/* AAPCS64 frame record: x29 points to {caller's x29, return address}. */
static inline void arch_unwind(vaddr_t fp, vaddr_t *caller_fp, vaddr_t *ret)
{
	const u64 *record = (const u64 *)fp;

	*caller_fp = record[0];
	*ret = record[1];
}
#endif

#endif
