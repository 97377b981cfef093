// SPDX-License-Identifier: MIT
/*
 * A call into the firmware: the one instruction.
 *
 * A file of its own, because a host build of what reads the answers has another one (tests/fuzz).
 * Locks and contexts: none, any context. See also: sbi.c.
 */
#include <asm/sbi.h>

struct sbi_ret sbi_call(u64 ext, u64 fid, u64 arg0, u64 arg1, u64 arg2, u64 arg3, u64 arg4)
{
	register u64 a0 __asm__("a0") = arg0;
	register u64 a1 __asm__("a1") = arg1;
	register u64 a2 __asm__("a2") = arg2;
	register u64 a3 __asm__("a3") = arg3;
	register u64 a4 __asm__("a4") = arg4;
	register u64 a6 __asm__("a6") = fid;
	register u64 a7 __asm__("a7") = ext;

	__asm__ __volatile__("ecall"
			     : "+r"(a0), "+r"(a1)
			     : "r"(a2), "r"(a3), "r"(a4), "r"(a6), "r"(a7)
			     : "memory");
	return (struct sbi_ret){ (s64)a0, (s64)a1 };
}
