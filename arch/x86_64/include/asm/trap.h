/* SPDX-License-Identifier: MIT */
/*
 * The trap frame, and how backtraces read stacks.
 */
#ifndef ASM_TRAP_H
#define ASM_TRAP_H

/* Offsets for trap.S; trap.c asserts them. */
#define TF_RBP 80
#define TF_RIP 136
#define TF_CS 144
#define TF_SIZE 176

/* Vectors beyond the CPU's own. The upper four bits are the priority. */
#define VECTOR_FIRST_IRQ 32
#define VECTOR_CONSOLE 0x30
#define VECTOR_TIMER 0xe0
#define VECTOR_IPI 0xf0
#define VECTOR_APIC_ERROR 0xfe
#define VECTOR_SPURIOUS 0xff

#ifndef __ASSEMBLY__
#include <types.h>

#define RFLAGS_IF BIT(9)
#define RFLAGS_AC BIT(18)

/* In the order in which trap.S pushes it, last first. */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error; /* error: 0 where the CPU pushes none */
	u64 rip, cs, rflags, rsp, ss;
};

static inline vaddr_t trap_pc(const struct trap_frame *tf)
{
	return tf->rip;
}
static inline vaddr_t trap_fp(const struct trap_frame *tf)
{
	return tf->rbp;
}
static inline bool trap_irqs_on(const struct trap_frame *tf)
{
	return tf->rflags & RFLAGS_IF;
}
static inline bool trap_from_user(const struct trap_frame *tf)
{
	return (tf->cs & 3) != 0;
}

/* rbp points to {caller's rbp, return address}. */
static inline void arch_unwind(vaddr_t fp, vaddr_t *caller_fp, vaddr_t *ret)
{
	const u64 *record = (const u64 *)fp;

	*caller_fp = record[0];
	*ret = record[1];
}
#endif

#endif
