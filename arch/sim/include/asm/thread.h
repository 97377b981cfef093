/* SPDX-License-Identifier: MIT */
/*
 * What the port keeps of a thread: where its coroutine stands.
 */
#ifndef GRACE_ASM_THREAD_H
#define GRACE_ASM_THREAD_H

struct arch_context {
	void *sp; /* while switched out; callee-saved registers are on the stack */
};

#endif
