// SPDX-License-Identifier: MIT
/*
 * Trap entry and exit: every register into a struct trap_frame and back.
 *
 * sscratch is 0 while the kernel runs and holds the thread while user mode runs; tp is the thread
 * in the kernel. So one exchange of the two tells where the trap came from. Between the exchange
 * and the moment at which sscratch is 0 again nothing may trap: no memory but the thread is
 * touched.
 *
 * A stack of the kernel is at an odd multiple of its size (layout.h): if the frame would begin at
 * an even one, the stack has overflowed into its guard, and the frame goes onto a stack kept for
 * that.
 * See also: trap.c, include/asm/trap.h.
 */
#include <asm/thread.h>
#include <asm/trap.h>
#include <layout.h>

	.macro each_x op
	.irp n, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, \
		27, 28, 29, 30, 31
	\op	x\n, TF_X(\n)(sp)
	.endr
	.endm

	.text
	.globl trap_entry
	.balign	4
trap_entry:
	csrrw	tp, sscratch, tp
	bnez	tp, from_user

	csrrw	tp, sscratch, t0		/* tp is the thread again, t0 is free */
	addi	t0, sp, -TF_SIZE
	srli	t0, t0, STACK_SHIFT
	andi	t0, t0, 1
	beqz	t0, overflow
	csrrw	t0, sscratch, zero
	addi	sp, sp, -TF_SIZE
	sd	x1, TF_X(1)(sp)
	sd	x3, TF_X(3)(sp)
	sd	x4, TF_X(4)(sp)
	each_x	sd
	addi	s1, sp, TF_SIZE
	sd	s1, TF_X(2)(sp)
	la	s2, trap_handler
	j	save_rest

from_user:
	sd	sp, CTX_TRAP_SP(tp)
	ld	sp, CTX_KERNEL_SP(tp)
	addi	sp, sp, -TF_SIZE
	sd	x1, TF_X(1)(sp)
	sd	x3, TF_X(3)(sp)
	each_x	sd
	ld	s1, CTX_TRAP_SP(tp)
	sd	s1, TF_X(2)(sp)
	csrrw	s1, sscratch, zero		/* the user's tp */
	sd	s1, TF_X(4)(sp)
	la	s2, trap_handler
	j	save_rest

overflow:
	sd	sp, CTX_TRAP_SP(tp)
	ld	t0, CTX_PERCPU_OFFSET(tp)
	la	sp, emergency_stack_top
	add	sp, sp, t0
	csrrw	t0, sscratch, zero
	addi	sp, sp, -TF_SIZE
	sd	x1, TF_X(1)(sp)
	sd	x3, TF_X(3)(sp)
	sd	x4, TF_X(4)(sp)
	each_x	sd
	ld	s1, CTX_TRAP_SP(tp)
	sd	s1, TF_X(2)(sp)
	la	s2, trap_stack_overflow

/* sp is the frame, s2 the handler; s1 is free. */
save_rest:
	csrr	s1, sstatus
	sd	s1, TF_STATUS(sp)
	/* User access is closed only where it was open: under QEMU each change drops the TLB. */
	li	s3, SSTATUS_SUM
	and	s1, s1, s3
	beqz	s1, 1f
	csrc	sstatus, s3
1:	csrr	s1, sepc
	sd	s1, TF_EPC(sp)
	sd	s1, TF_RECORD_RA(sp)
	csrr	s1, scause
	sd	s1, TF_CAUSE(sp)
	csrr	s1, stval
	sd	s1, TF_TVAL(sp)
	sd	s0, TF_RECORD_FP(sp)
	addi	s0, sp, TF_SIZE			/* the frame pointer of the record */
	mv	a0, sp
	jalr	s2

	ld	s1, TF_STATUS(sp)
	andi	s2, s1, SSTATUS_SPP
	bnez	s2, 2f
	addi	s2, sp, TF_SIZE
	sd	s2, CTX_KERNEL_SP(tp)
	csrw	sscratch, tp			/* back to user mode */
2:	csrw	sstatus, s1			/* opens user access again where it was open */
	ld	s1, TF_EPC(sp)
	csrw	sepc, s1
	/*
	 * Ends any LR of the trap's own, which must not let the interrupted code's SC succeed
	 * (unprivileged, 8.2).
	 */
	addi	s2, sp, TF_EPC
	sc.d	zero, s1, (s2)
	ld	x1, TF_X(1)(sp)
	ld	x3, TF_X(3)(sp)
	ld	x4, TF_X(4)(sp)
	each_x	ld
	ld	sp, TF_X(2)(sp)
	sret

	/* Each CPU's stack for reporting that a stack has overflowed. */
	.section .bss.percpu, "aw", %nobits
	.balign	16
	.skip	8192
	.balign	16
emergency_stack_top:
