/* SPDX-License-Identifier: MIT */
/*
 * Copies between kernel and user memory, and device accesses that may fault.
 *
 * The user's side is reached by the unprivileged forms (LDTR, STTR), which have the user's
 * permissions and ignore PAN. Each may fault: do_page_fault() resolves it, or arch_fixup() moves on
 * to the address that stands beside it in the exception table.
 */
/* Instruction that may fault, and where to go then. */
.macro may_fault fixup, insn:vararg
.Lfault\@:
	\insn
	.pushsection .ex_table, "a"
	.balign	8
	.quad	.Lfault\@, \fixup
	.popsection
.endm

	.text
/*
 * size_t arch_user_copy(void *dst, const void *src, size_t n, bool to_user). Eight bytes at a time
 * (one access each, so an aligned word is copied whole); where eight fault, byte by byte up to the
 * first that cannot be reached, so that the count returned is exact.
 */
	.globl arch_user_copy
arch_user_copy:
	cbnz	w3, .Lto_user
1:	cmp	x2, #8
	b.lo	2f
	may_fault 2f, ldtr x4, [x1]
	str	x4, [x0], #8
	add	x1, x1, #8
	sub	x2, x2, #8
	b	1b
2:	cbz	x2, .Ldone
	may_fault .Ldone, ldtrb w4, [x1]
	strb	w4, [x0], #1
	add	x1, x1, #1
	sub	x2, x2, #1
	b	2b
.Lto_user:
3:	cmp	x2, #8
	b.lo	4f
	ldr	x4, [x1]
	may_fault 4f, sttr x4, [x0]
	add	x0, x0, #8
	add	x1, x1, #8
	sub	x2, x2, #8
	b	3b
4:	cbz	x2, .Ldone
	ldrb	w4, [x1]
	may_fault .Ldone, sttrb w4, [x0]
	add	x0, x0, #1
	add	x1, x1, #1
	sub	x2, x2, #1
	b	4b
.Ldone:
	mov	x0, x2
	ret

/* bool probe_read32(vaddr_t addr, u32 *value), bool probe_write32(vaddr_t addr, u32 value). */
	.globl probe_read32
probe_read32:
	may_fault .Lprobe_failed, ldr w2, [x0]
	dsb	sy		/* a fault is taken before the next instruction */
	str	w2, [x1]
	mov	w0, #1
	ret
	.globl probe_write32
probe_write32:
	may_fault .Lprobe_failed, str w1, [x0]
	dsb	sy
	mov	w0, #1
	ret
.Lprobe_failed:
	mov	w0, #0
	ret

/*
 * void probe_hvc(u64 function), void probe_smc(u64 function): calls to whatever is above this
 * exception level; where there is nothing, they are undefined instructions. Firmware may clobber
 * x0 to x17.
 */
	.globl probe_hvc
probe_hvc:
	may_fault .Lno_firmware, hvc #0
	ret
	.globl probe_smc
probe_smc:
	may_fault .Lno_firmware, smc #0
.Lno_firmware:
	ret

/* void semihosting_exit(const u64 block[2]): returns if there is no debugger to take it. */
	.globl semihosting_exit
semihosting_exit:
	mov	x1, x0
	mov	w0, #0x20	/* SYS_EXIT_EXTENDED */
	may_fault .Lno_debugger, hlt #0xf000
.Lno_debugger:
	ret
