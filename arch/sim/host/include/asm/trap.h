/* SPDX-License-Identifier: MIT */
/*
 * The trap frame: a virtual interrupt is a call from the instrumented place in `pc`.
 */
#ifndef GRACE_ASM_TRAP_H
#define GRACE_ASM_TRAP_H

#include <types.h>

struct trap_frame {
	vaddr_t pc, fp;
	bool irqs_on;
	bool user_copy; /* a fault of arch_user_copy(), which can end it ... */
	bool ended;	/* ... and arch_fixup() did */
};

static inline vaddr_t trap_pc(const struct trap_frame *tf)
{
	return tf->pc;
}
static inline vaddr_t trap_fp(const struct trap_frame *tf)
{
	return tf->fp;
}
static inline bool trap_irqs_on(const struct trap_frame *tf)
{
	return tf->irqs_on;
}
static inline bool trap_from_user(const struct trap_frame *tf)
{
	return false;
}

/* rbp points to {caller's rbp, return address}. */
static inline void arch_unwind(vaddr_t fp, vaddr_t *caller_fp, vaddr_t *ret)
{
	const u64 *record = (const u64 *)fp;

	*caller_fp = record[0];
	*ret = record[1];
}

#endif
