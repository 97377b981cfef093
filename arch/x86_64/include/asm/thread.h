/* SPDX-License-Identifier: MIT */
/*
 * What a switched-out thread keeps: its stack pointer. The registers that a call preserves are on
 * its stack, as switch.S pushed them.
 */
#ifndef ASM_THREAD_H
#define ASM_THREAD_H

#include <types.h>

struct arch_context {
	u64 sp; /* of a struct switch_frame */
};

#endif
