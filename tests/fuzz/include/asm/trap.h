/* SPDX-License-Identifier: MIT */
/*
 * No traps.
 */
#ifndef GRACE_ASM_TRAP_H
#define GRACE_ASM_TRAP_H

#include <types.h>

struct trap_frame {
	bool unused;
};

static inline vaddr_t trap_pc(const struct trap_frame *tf)
{
	return 0;
}
static inline vaddr_t trap_fp(const struct trap_frame *tf)
{
	return 0;
}
static inline bool trap_irqs_on(const struct trap_frame *tf)
{
	return false;
}
static inline bool trap_from_user(const struct trap_frame *tf)
{
	return false;
}
static inline void arch_unwind(vaddr_t fp, vaddr_t *caller_fp, vaddr_t *ret)
{
	*caller_fp = 0;
	*ret = 0;
}

#endif
