/* SPDX-License-Identifier: MIT */
/*
 * The trap frame. trap.S makes it on the interrupted thread's stack, or on the thread's kernel
 * stack for a trap from user mode.
 */
#ifndef GRACE_ASM_TRAP_H
#define GRACE_ASM_TRAP_H

/* Offsets for assembly; trap.c checks them. */
#define TF_X(n) (8 * (n))
#define TF_STATUS 256
#define TF_EPC 264
#define TF_CAUSE 272
#define TF_TVAL 280
#define TF_RECORD_FP 304
#define TF_RECORD_RA 312
#define TF_SIZE 320

#define SSTATUS_SIE 0x2
#define SSTATUS_SPIE 0x20
#define SSTATUS_SPP 0x100
#define SSTATUS_VS 0x600
#define SSTATUS_FS 0x6000
#define SSTATUS_SUM 0x40000
#define SSTATUS_MXR 0x80000

#define SIE_SSIE 0x2
#define SIE_STIE 0x20
#define SIE_SEIE 0x200

#ifndef __ASSEMBLY__
#include <types.h>

/* What gcc keeps right below the address in the frame pointer (s0). */
struct frame_record {
	u64 fp, ra;
};

struct trap_frame {
	u64 x[32]; /* x[0] unused */
	u64 status, epc, cause, tval;
	/*
	 * The chain of frame pointers goes from the handler through record to the interrupted code.
	 * If that was a leaf function, gcc saved no return address for it, and leaf, which is put
	 * in between, supplies it from the register.
	 */
	struct frame_record leaf, record;
};

static inline vaddr_t trap_pc(const struct trap_frame *tf)
{
	return tf->epc;
}
static inline vaddr_t trap_fp(const struct trap_frame *tf)
{
	return tf->record.fp;
}
static inline bool trap_irqs_on(const struct trap_frame *tf)
{
	return tf->status & SSTATUS_SPIE;
}
static inline bool trap_from_user(const struct trap_frame *tf)
{
	return !(tf->status & SSTATUS_SPP);
}

/* Makes the function that it is in save its return address, so that its own frame has a record. */
static inline void riscv_keep_frame_record(void)
{
	__asm__ __volatile__("" ::: "ra");
}

static inline void arch_unwind(vaddr_t fp, vaddr_t *caller_fp, vaddr_t *ret)
{
	const struct frame_record *r = (const struct frame_record *)fp - 1;

	riscv_keep_frame_record(); /* a caller may begin at itself */
	*caller_fp = r->fp;
	*ret = r->ra;
}
#endif

#endif
