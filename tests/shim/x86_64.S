/* SPDX-License-Identifier: MIT */
/*
 * Stands where QEMU puts the kernel, and hands other tables to the real image: the runner loads
 * that image, and the tables, with the entry and two registers before them (scripts/pc.py).
 */
#define GIVEN 0x7000000

	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 8, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.quad	_start

	.text
	.code32
	.globl _start
_start:
	movl	GIVEN + 4, %eax
	movl	GIVEN + 8, %ebx
	jmp	*GIVEN
