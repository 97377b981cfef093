/* SPDX-License-Identifier: MIT */
/*
 * Trap entry and return.
 *
 * An entry saves every register in a struct trap_frame on the interrupted thread's stack (from user
 * mode: on the stack that the TSS names), closes user access, makes the frame part of the chain of
 * frame records, and calls C with interrupts off.
 * GS base is the per-CPU distance in the kernel and the user's in user mode; the other of the two
 * is in MSR_KERNEL_GS_BASE, and SWAPGS exchanges them on the way in from user mode and out to it. A
 * trap that no flag holds up (NMI, double fault, machine check) may come between, so it does not
 * ask where it came from: its stack (cpu.c) has the distance above the frame.
 * See also: trap.c.
 */
#include <asm/cpu.h>
#include <asm/trap.h>

.macro save_registers
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	cmpb	$0, smap_on(%rip)
	je	.Lno_smap\@
	clac
.Lno_smap\@:
.endm

/* And drops vector and error. */
.macro restore_registers
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rbp
	popq	%rbx
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
.endm

/* Calls fn(frame) below a frame record {rbp, rip} of the interrupted code. Stack stays aligned. */
.macro call_c fn
	movq	%rsp, %rdi
	pushq	TF_RIP(%rdi)
	pushq	TF_RBP(%rdi)
	movq	%rsp, %rbp
	call	\fn
	addq	$16, %rsp
.endm

	.text
/*
 * One stub a vector, 16 bytes each: vector and error code on the stack, then the common entry. The
 * CPU pushes an error code for 8, 10 to 14, 17, 21, 29 and 30.
 */
	.balign	16
	.globl	trap_stubs
trap_stubs:
	vector = 0
	.rept	256
	.balign	16
	.if	!((vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || \
		  (vector == 21) || (vector == 29) || (vector == 30))
	pushq	$0
	.endif
	pushq	$vector
	.if	(vector == 2) || (vector == 8) || (vector == 18)
	jmp	entry_on_ist
	.else
	jmp	entry
	.endif
	vector = vector + 1
	.endr

	.balign	16
entry:
	save_registers
	testb	$3, TF_CS(%rsp)
	jz	1f
	swapgs
1:	call_c	trap_dispatch
	cli			/* from here on GS may be the user's */
	testb	$3, TF_CS(%rsp)
	jz	1f
	swapgs
1:	restore_registers
	iretq

/* rbx = this CPU's distance, r12 = the GS base found, to be put back. */
entry_on_ist:
	save_registers
	movq	TF_SIZE(%rsp), %rbx
	movl	$MSR_GS_BASE, %ecx
	rdmsr
	shlq	$32, %rdx
	orq	%rdx, %rax
	movq	%rax, %r12
	movq	%rbx, %rax
	cmpq	%r12, %rbx
	je	1f
	movq	%rbx, %rdx
	shrq	$32, %rdx
	wrmsr
1:	call_c	trap_on_ist
	cmpq	%r12, %rbx
	je	1f
	movl	$MSR_GS_BASE, %ecx
	movq	%r12, %rax
	movq	%r12, %rdx
	shrq	$32, %rdx
	wrmsr
1:	restore_registers
	iretq

/*
 * void arch_cpu_idle(void). STI takes effect behind the next instruction (SDM vol. 2, STI), so no
 * interrupt comes between the two. An NMI may: after it, what was pending would be taken before
 * HLT, which then would wait for something else. So the NMI handler skips the HLT if it would
 * return to it.
 */
	.globl	arch_cpu_idle, idle_hlt, idle_hlt_end
arch_cpu_idle:
	pushq	%rbp
	movq	%rsp, %rbp
	sti
idle_hlt:
	hlt
idle_hlt_end:
	popq	%rbp
	ret
