/* SPDX-License-Identifier: MIT */
/*
 * Stands where QEMU puts the kernel, and hands other tables to the real image: the runner loads
 * that image, and the tables with the image's entry before them (scripts/handover.py, pc.py).
 */
#define GIVEN 0x7000000
#define START_INFO (GIVEN + 0x40)

	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 8, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.quad	_start

	.text
	.code32
	.globl _start
_start:
	movl	$START_INFO, %ebx
	xorl	%eax, %eax
	jmp	*GIVEN
