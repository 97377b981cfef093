// SPDX-License-Identifier: MIT
/*
 * From the firmware to C: image header, first message, boot tables, MMU on, high addresses; and the
 * same for the harts that are started later.
 *
 * The firmware enters one hart, any one, with a0 = its id and a1 = the device tree; the others wait
 * in it until sbi_hart_start(). The code up to `high` runs where the image was loaded, so every
 * address here is relative to pc.
 * Why only the first hart at _start boots: OpenSBI (1.1, and others of its time) marks a hart as to
 * be started before it notes where, so one that looks in between comes to _start too. It, like any
 * hart that is to be started, finds its record by its id.
 * Why no identity map: when satp takes effect the next fetch faults, because nothing is mapped
 * where the code still runs, and the trap vector already holds the high address at which it goes
 * on.
 * See also: start.c, mmu.c, smp.c; the header is described in Linux's boot-image-header.rst.
 */
#include <asm/port.h>
#include <asm/sbi.h>
#include <asm/trap.h>
#include <layout.h>

#define ALIGN_2M_MASK 0x1fffff

	.section .head.text, "ax"
	.globl _start
_start:
	.option push
	.option norvc
	j	boot_hart
	nop
	.option pop
	.8byte	0x200000			/* offset from the start of memory */
	.8byte	image_end - image_start
	.8byte	0				/* flags: little-endian */
	.4byte	2				/* header version 0.2 */
	.4byte	0
	.8byte	0
	.ascii	"RISCV\0\0\0"
	.ascii	"RSC\x05"
	.4byte	0

boot_hart:
	fence.i				/* the loader wrote the image (unprivileged, Zifencei) */
	csrw	sie, zero
	la	t0, early_trap
	csrw	stvec, t0
	csrw	sscratch, zero
	li	t0, SSTATUS_SIE | SSTATUS_FS | SSTATUS_VS | SSTATUS_SUM | SSTATUS_MXR
	csrc	sstatus, t0
	mv	s1, a0				/* hart id */
	mv	s2, a1				/* device tree */
	rdtime	s5
	la	t0, boot_claimed
	li	t1, 1
	amoswap.w.aqrl t1, t1, (t0)
	bnez	t1, secondary_wait
	la	a2, hello
	call	early_puts

	la	s3, image_start			/* where it was loaded */
	la	a2, not_aligned
	li	t0, ALIGN_2M_MASK
	and	t0, s3, t0
	bnez	t0, early_fail

	la	t0, bss_start
	la	t1, bss_end
1:	sd	zero, (t0)
	addi	t0, t0, 8
	bltu	t0, t1, 1b

	la	sp, init_stack + 2 * STACK_SIZE
	mv	s0, zero
	mv	a0, s3
	call	boot_build_tables

	li	t0, KERNEL_VA
	sub	t0, t0, s3
	la	s4, high
	add	s4, s4, t0
	csrw	stvec, s4
	sfence.vma				/* nothing stale from the firmware's time */

	/* The widest mode that satp accepts: it ignores a write of one that it does not have. */
	.macro try_mode mode, root
	la	t0, \root
	srli	t0, t0, 12
	li	t1, \mode
	slli	t1, t1, SATP_MODE_SHIFT
	or	t0, t0, t1
	csrw	satp, t0			/* if accepted, the next fetch faults to `high` */
	csrr	t1, satp
	bnez	t1, 1f
	.endm
	try_mode SATP_SV57, boot_l4
	try_mode SATP_SV48, boot_l3
	try_mode SATP_SV39, boot_l2
	la	t0, early_trap
	csrw	stvec, t0
	la	a2, no_mmu
	j	early_fail
1:	jr	s4

	.balign	4
high:
	la	t0, early_trap
	csrw	stvec, t0
	sfence.vma			/* a write of satp orders nothing (privileged, 4.1.11) */
	la	sp, init_stack + 2 * STACK_SIZE
	la	tp, init_thread
	mv	s0, zero
	la	t0, boot_entry_cycles
	sd	s5, (t0)
	mv	a0, s1
	mv	a1, s2
	mv	a2, s3
	mv	ra, zero
	la	t0, arch_start
	jr	t0

/* A hart started by arch_cpu_start(), a0 = its id. */
	.globl secondary_entry
secondary_entry:
	fence.i				/* another hart wrote the image (unprivileged, Zifencei) */
	csrw	sie, zero
	csrw	sscratch, zero
	li	t0, SSTATUS_SIE | SSTATUS_FS | SSTATUS_VS | SSTATUS_SUM | SSTATUS_MXR
	csrc	sstatus, t0
	mv	s1, a0
secondary_wait:
	la	t2, start_records
	la	t3, start_records + MAX_CPUS * START_SIZE
1:	ld	t0, START_READY(t2)
	beqz	t0, 2f
	fence	r, rw				/* acquire: pairs with arch_cpu_start() in smp.c */
	ld	t0, START_HART(t2)
	beq	t0, s1, 3f
2:	addi	t2, t2, START_SIZE
	bltu	t2, t3, 1b
	.4byte	0x0100000f			/* pause */
	j	secondary_wait

3:	ld	t0, START_SATP(t2)
	ld	sp, START_SP(t2)
	ld	tp, START_TP(t2)
	ld	t1, START_ENTRY(t2)
	csrw	stvec, t1
	sfence.vma
	csrw	satp, t0			/* the next fetch faults to secondary_high */
	jr	t1

	.globl secondary_high
	.balign	4
secondary_high:
	la	t0, trap_entry
	csrw	stvec, t0
	sfence.vma
	mv	s0, zero
	mv	ra, zero
	la	t0, secondary_main
	jr	t0

/* ---- The last resort: no stack, no memory but the image's constants. --------------------- */

	.balign	4
early_trap:
	la	t0, early_off			/* a second trap only tries to end the machine */
	csrw	stvec, t0
	la	a2, trapped
	call	early_puts
	csrr	a2, scause
	call	early_put_hex
	csrr	a2, sepc
	call	early_put_hex
	csrr	a2, stval
	call	early_put_hex
	la	a2, newline

/* Prints a2, then ends the machine with EXIT_BAD_BOOT. */
early_fail:
	call	early_puts
	la	t0, early_off
	csrw	stvec, t0
	/* QEMU's test device, if there is one: the only way to tell the exit status. */
	csrr	t0, satp
	beqz	t0, 2f
	li	t0, DIRECT_MAP
2:	li	t1, TEST_DEVICE_GUESS
	add	t0, t0, t1
	li	t1, EARLY_EXIT_STATUS << 16 | 0x3333
	sw	t1, (t0)
	.balign	4
early_off:
	li	a7, SBI_SRST
	li	a6, SBI_SRST_RESET
	li	a0, SBI_SRST_SHUTDOWN
	li	a1, SBI_SRST_SYSTEM_FAILURE
	ecall
1:	wfi
	j	1b

/* Prints the string a2. Changes a0, a1, a2, a6, a7. */
early_puts:
	li	a7, SBI_LEGACY_PUTCHAR
	li	a6, 0
1:	lbu	a0, (a2)
	beqz	a0, 2f
	ecall
	addi	a2, a2, 1
	j	1b
2:	ret

/* Prints a space and a2. Changes a0, a1, a3, a6, a7. */
early_put_hex:
	li	a7, SBI_LEGACY_PUTCHAR
	li	a6, 0
	li	a0, ' '
	ecall
	li	a3, 60
1:	srl	a0, a2, a3
	andi	a0, a0, 15
	addi	a0, a0, '0'
	li	a1, '9'
	bleu	a0, a1, 2f
	addi	a0, a0, 'a' - '9' - 1
2:	ecall
	addi	a3, a3, -4
	bgez	a3, 1b
	ret

	/* Not in .bss: the hart that boots clears that. */
	.section .data
	.balign	4
boot_claimed:
	.4byte	0

	.section .rodata
hello:
	.asciz	"Grace, riscv64\r\n"
trapped:
	.asciz	"early trap (cause, pc, address):"
newline:
	.asciz	"\r\n"
not_aligned:
	.asciz	"boot: the image must be loaded at a multiple of 2 MiB\r\n"
no_mmu:
	.asciz	"boot: the CPU has none of Sv39, Sv48 and Sv57\r\n"
