/* SPDX-License-Identifier: MIT */
/*
 * Threads do not switch here.
 */
#ifndef GRACE_ASM_THREAD_H
#define GRACE_ASM_THREAD_H

struct arch_context {
	unsigned long unused;
};

#endif
