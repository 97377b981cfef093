/* SPDX-License-Identifier: MIT */
/*
 * Control and status registers, by name or number. Each access is a compiler barrier.
 */
#ifndef GRACE_ASM_CSR_H
#define GRACE_ASM_CSR_H

#include <types.h>

/* By number, as older assemblers do not know the names. */
#define CSR_STIMECMP 0x14d /* Sstc */
#define CSR_SISELECT 0x150 /* Ssaia: the register behind sireg */
#define CSR_SIREG 0x151
#define CSR_STOPEI 0x15c /* Ssaia: the interrupt file's first */

#define csr_str_(x) #x
#define csr_str(x) csr_str_(x)

#define csr_read(csr)                                                                              \
	({                                                                                         \
		u64 csr_v;                                                                         \
		__asm__ __volatile__("csrr %0, " csr_str(csr) : "=r"(csr_v)::"memory");            \
		csr_v;                                                                             \
	})
#define csr_write(csr, v)                                                                          \
	__asm__ __volatile__("csrw " csr_str(csr) ", %0" ::"rK"((u64)(v)) : "memory")
#define csr_set(csr, v)                                                                            \
	__asm__ __volatile__("csrs " csr_str(csr) ", %0" ::"rK"((u64)(v)) : "memory")
#define csr_clear(csr, v)                                                                          \
	__asm__ __volatile__("csrc " csr_str(csr) ", %0" ::"rK"((u64)(v)) : "memory")
/* These return what was there. */
#define csr_swap(csr, v)                                                                           \
	({                                                                                         \
		u64 csr_old;                                                                       \
		__asm__ __volatile__("csrrw %0, " csr_str(csr) ", %1"                              \
				     : "=r"(csr_old)                                               \
				     : "r"((u64)(v))                                               \
				     : "memory");                                                  \
		csr_old;                                                                           \
	})
#define csr_read_clear(csr, v)                                                                     \
	({                                                                                         \
		u64 csr_old;                                                                       \
		__asm__ __volatile__("csrrc %0, " csr_str(csr) ", %1"                              \
				     : "=r"(csr_old)                                               \
				     : "rK"((u64)(v))                                              \
				     : "memory");                                                  \
		csr_old;                                                                           \
	})

/* An entry of the exception table: a fault at label `from` goes on at label `to`. */
#define EX_TABLE(from, to)                                                                         \
	".pushsection .ex_table, \"a\"\n\t.balign 8\n\t.8byte " from ", " to "\n\t.popsection\n\t"

#endif
