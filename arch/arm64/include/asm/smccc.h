/* SPDX-License-Identifier: MIT */
/*
 * A call into the firmware: the one instruction of the SMC Calling Convention (DEN 0028).
 *
 * A header of its own, because a host build of what reads the answers puts another one here
 * (tests/fuzz).
 */
#ifndef GRACE_ASM_SMCCC_H
#define GRACE_ASM_SMCCC_H

#include <types.h>

/* x4 to x17 may be clobbered by firmware of SMCCC 1.0. */
#define SMCCC_CALL(insn)                                                                           \
	__asm__ __volatile__(insn " #0"                                                            \
			     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)                              \
			     :                                                                     \
			     : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",     \
			       "x14", "x15", "x16", "x17", "memory")

/* By SMC, or else by HVC, to whoever answers there; returns x0. Any context. */
static inline s64 smccc_call(bool smc, u64 function, u64 a, u64 b, u64 c)
{
	register u64 x0 __asm__("x0") = function;
	register u64 x1 __asm__("x1") = a;
	register u64 x2 __asm__("x2") = b;
	register u64 x3 __asm__("x3") = c;

	if (smc)
		SMCCC_CALL("smc");
	else
		SMCCC_CALL("hvc");
	return (s64)x0;
}

#endif
