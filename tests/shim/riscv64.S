// SPDX-License-Identifier: MIT
/*
 * Stands where QEMU puts the kernel, and hands another device tree to the real image: the runner
 * loads that image and a spoilt device tree at the two addresses (scripts/handover.py).
 */
	.text
	.globl _start
_start:
	li	a1, 0x87000000		// the device tree
	li	t0, 0x84000000		// the image
	jr	t0			// a0 is the hart still
