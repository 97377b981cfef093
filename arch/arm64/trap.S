/* SPDX-License-Identifier: MIT */
/*
 * Trap entry and return.
 *
 * An entry saves every register in a struct trap_frame on the interrupted thread's stack (from user
 * mode: on the kernel stack of that thread), makes the frame part of the chain of frame records,
 * and calls C with interrupts masked. User access needs no closing: PAN is set by the entry
 * itself.
 * A stack pointer that has run into the guard below its stack is noticed before anything is stored,
 * and the CPU's emergency stack is taken instead.
 * TPIDRRO_EL0 is scratch for the first instructions: nothing interrupts them.
 * See also: trap.c; layout.h for the rule of the stacks.
 */
#include <asm/trap.h>
#include <layout.h>

/* x2 to x29. */
.macro save_rest
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x19, [sp, #144]
	stp	x20, x21, [sp, #160]
	stp	x22, x23, [sp, #176]
	stp	x24, x25, [sp, #192]
	stp	x26, x27, [sp, #208]
	stp	x28, x29, [sp, #224]
.endm

/* The frame record, as if the interrupted instruction had been a call. */
.macro record_call
	mrs	x19, elr_el1
	add	x19, x19, #4
	stp	x29, x19, [sp, #TF_RECORD]
.endm

/* The rest of the frame; x21 = the interrupted sp. C finds the frame in x0, the record in x29. */
.macro enter_c
	mrs	x22, elr_el1
	mrs	x23, spsr_el1
	mrs	x24, esr_el1
	mrs	x25, far_el1
	stp	x30, x21, [sp, #TF_X30]
	stp	x22, x23, [sp, #TF_PC]
	stp	x24, x25, [sp, #TF_ESR]
	add	x29, sp, #TF_RECORD
	mov	x0, sp
.endm

/* One of 16 vectors, 128 bytes each. From the kernel: room for the frame, or the other stack. */
.macro vector_el1 target
	.balign	128
	msr	tpidrro_el0, x0
	sub	x0, sp, #TF_SIZE
	tbz	x0, #STACK_SHIFT, el1_overflow
	mrs	x0, tpidrro_el0
	sub	sp, sp, #TF_SIZE
	stp	x0, x1, [sp]
	b	\target
.endm
.macro vector_el0 target
	.balign	128
	sub	sp, sp, #TF_SIZE
	stp	x0, x1, [sp]
	b	\target
.endm
/* From EL1 with SP_EL0 as the stack: the kernel never runs so; the frame goes to SP_EL1's. */
.macro vector_wrong
	.balign	128
	sub	sp, sp, #TF_SIZE
	stp	x0, x1, [sp]
	mov	x1, #TRAP_WRONG_STACK
	b	el1_bad
.endm

	.text
	.balign	2048
	.globl vectors
vectors:
	vector_wrong
	vector_wrong
	vector_wrong
	vector_wrong
	vector_el1 el1_sync
	vector_el1 el1_irq
	vector_el1 el1_fiq
	vector_el1 el1_serror
	vector_el0 el0_sync
	vector_el0 el0_irq
	vector_el0 el0_fiq
	vector_el0 el0_serror
	vector_el0 el0_aarch32
	vector_el0 el0_aarch32
	vector_el0 el0_aarch32
	vector_el0 el0_aarch32

/* From the kernel: the record goes on with the interrupted function's frame. */
.macro el1_frame
	save_rest
	add	x21, sp, #TF_SIZE
	record_call
	enter_c
.endm

/* From user mode: the record ends the chain; SP_EL0 becomes current again. */
.macro el0_frame
	save_rest
	mrs	x21, sp_el0
	stp	xzr, xzr, [sp, #TF_RECORD]
	adrp	x19, kernel_current
	add	x19, x19, :lo12:kernel_current
	mrs	x20, tpidr_el1
	ldr	x19, [x19, x20]
	msr	sp_el0, x19
	enter_c
.endm

el1_sync:
	el1_frame
	msr	daifclr, #5	/* SError and FIQ: reported if they come while this runs */
	bl	trap_sync
	b	trap_return
el1_irq:
	el1_frame
	msr	daifclr, #5
	bl	trap_irq
	b	trap_return
el1_fiq:
	mov	x1, #TRAP_FIQ
	b	el1_bad
el1_serror:
	mov	x1, #TRAP_SERROR
el1_bad:
	el1_frame
	bl	trap_bad

el0_sync:
	el0_frame
	msr	daifclr, #5
	bl	trap_sync
	b	trap_return
el0_irq:
	el0_frame
	msr	daifclr, #5
	bl	trap_irq
	b	trap_return
el0_fiq:
	mov	x1, #TRAP_FIQ
	b	el0_bad
el0_serror:
	mov	x1, #TRAP_SERROR
	b	el0_bad
el0_aarch32:
	mov	x1, #TRAP_AARCH32
el0_bad:
	el0_frame
	bl	trap_bad

/*
 * x0 is in tpidrro_el0, the stack pointer in a guard. This never returns, so tpidr_el0 (user
 * mode's) is free. An overflow of the emergency stack itself cannot be reported: the machine ends.
 */
el1_overflow:
	msr	tpidr_el0, x1
	adrp	x0, emergency_sp
	add	x0, x0, :lo12:emergency_sp
	mrs	x1, tpidr_el1
	ldr	x0, [x0, x1]
	mov	x1, sp
	sub	x1, x0, x1
	cmp	x1, #2 * STACK_SIZE
	mov	x1, sp
	mov	sp, x0
	b.lo	emergency_overflow
	sub	sp, sp, #TF_SIZE
	mrs	x0, tpidrro_el0
	str	x0, [sp]
	mrs	x0, tpidr_el0
	str	x0, [sp, #8]
	save_rest
	mov	x21, x1
	record_call
	enter_c
	mov	x1, #TRAP_OVERFLOW
	bl	trap_bad
emergency_overflow:
	mov	w0, #3			/* EXIT_PANIC */
	bl	arch_power_off

trap_return:
	msr	daifset, #0xf	/* ELR and SPSR would not survive another exception */
	ldp	x22, x23, [sp, #TF_PC]
	msr	elr_el1, x22
	msr	spsr_el1, x23
	tst	x23, #PSTATE_MODE
	b.ne	1f
	ldr	x21, [sp, #TF_X30 + 8]
	msr	sp_el0, x21
	msr	tpidrro_el0, xzr
1:	ldp	x0, x1, [sp]
	ldp	x2, x3, [sp, #16]
	ldp	x4, x5, [sp, #32]
	ldp	x6, x7, [sp, #48]
	ldp	x8, x9, [sp, #64]
	ldp	x10, x11, [sp, #80]
	ldp	x12, x13, [sp, #96]
	ldp	x14, x15, [sp, #112]
	ldp	x16, x17, [sp, #128]
	ldp	x18, x19, [sp, #144]
	ldp	x20, x21, [sp, #160]
	ldp	x22, x23, [sp, #176]
	ldp	x24, x25, [sp, #192]
	ldp	x26, x27, [sp, #208]
	ldp	x28, x29, [sp, #224]
	ldr	x30, [sp, #TF_X30]
	add	sp, sp, #TF_SIZE
	eret
