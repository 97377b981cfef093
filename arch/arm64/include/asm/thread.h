/* SPDX-License-Identifier: MIT */
/*
 * What a switched-out thread keeps: the registers that AAPCS64 says a call preserves. switch.S
 * knows the offsets; cpu.c asserts them.
 */
#ifndef ASM_THREAD_H
#define ASM_THREAD_H

#define CTX_X19 0
#define CTX_FP 80
#define CTX_SP 96

#ifndef __ASSEMBLY__
#include <types.h>

struct arch_context {
	u64 x19_x28[10];
	u64 fp, pc; /* x29; the address at which the thread goes on (x30) */
	u64 sp;
};
#endif

#endif
