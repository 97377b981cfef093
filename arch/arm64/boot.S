/* SPDX-License-Identifier: MIT */
/*
 * From the firmware's door to C: the boot CPU, and each CPU that PSCI starts.
 *
 * Boot protocol (Linux's "arm64 Image" header): entered with x0 = device tree, MMU off, at EL2 or
 * EL1, interrupts in any state, at any 2 MiB-aligned address. What stands here runs before the MMU
 * is on, or from the identity map, so it uses PC-relative addresses only and no stack.
 * Rules: with the MMU off every access goes past the caches. What is written here is invalidated
 * from the caches before and after; what is read must have been cleaned to memory by its writer.
 * See also: start.c, smp.c, mmu.c.
 */
#include <asm/sysreg.h>
#include <layout.h>

#define SB_TTBR1 0
#define SB_STACK 8
#define SB_THREAD 16
#define SB_PERCPU 24
#define SB_TCR 32

	.section .head.text, "ax"
	.globl _start
_start:
	b	primary_entry
	.word	0
	.quad	0			/* wanted offset from a 2 MiB boundary */
	.quad	image_end - _start	/* size, bss included */
	.quad	IMAGE_FLAGS		/* little-endian, the size of pages, anywhere in memory */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.word	0

/* The address of a symbol near the PC: physical or virtual, as the PC is. */
.macro adr_l reg, sym
	adrp	\reg, \sym
	add	\reg, \reg, :lo12:\sym
.endm

/* Stops with a message if the condition holds. */
.macro fail_if cond, text
	adr	x0, .Lmessage\@
	b.\cond	early_fail
	b	.Lpast\@
.Lmessage\@:
	.asciz	"boot: \text\nEXIT: STATUS=2\n"
	.balign	4
.Lpast\@:
.endm

/* Makes the entry of va in a table of level point to the next table. Clobbers x8, x9. */
.macro put_table table, va, level, next
	adr_l	x8, \next
	orr	x8, x8, #BOOT_TABLE
	ubfx	x9, \va, #(PAGE_SHIFT + PT_INDEX_BITS * \level), #PT_INDEX_BITS
	str	x8, [\table, x9, lsl #3]
.endm

/* x0 = the leaf table of va, made from the root down, through l2 and l1 where there are such. */
.macro put_leaf_table root, va, l2, l1, l0
	adr_l	x0, \root
.if KERNEL_LEVELS == 4
	put_table x0, \va, 3, \l2
	adr_l	x0, \l2
.endif
.if KERNEL_LEVELS >= 3
	put_table x0, \va, 2, \l1
	adr_l	x0, \l1
.endif
	put_table x0, \va, 1, \l0
	adr_l	x0, \l0
.endm

/*
 * The boot CPU. Keeps x19 = where the image is, x20 = device tree, x21 = exception level at entry,
 * x22 = the counter at entry.
 */
primary_entry:
	msr	daifset, #0xf
	mov	x20, x0
	bl	enter_el1
	mrs	x22, cntvct_el0
	adr	x19, _start
	tst	x19, #0x1fffff
	fail_if	ne, "the image is not at a multiple of 2 MiB"
	lsr	x0, x19, #37
	cmp	x0, #0
	fail_if	ne, "the image is above the first 128 GiB of memory"
	mrs	x1, id_aa64mmfr0_el1
	sbfx	x1, x1, #TGRAN_SHIFT, #4
	cmp	x1, #TGRAN_LEAST
	fail_if	lt, NO_GRANULE

	bl	invalidate_bss
	adr_l	x0, bss_start
	adr_l	x1, bss_end
1:	stp	xzr, xzr, [x0], #16
	cmp	x0, x1
	b.lo	1b
	bl	make_boot_tables
	bl	invalidate_bss

	adrp	x0, boot_top
	mov	x5, #0
	bl	enable_mmu
	ldr	x0, =primary_high
	br	x0

/*
 * Any other CPU; x0 = physical address of its struct secondary_boot (smp.c), which arch_cpu_start()
 * has cleaned to memory.
 */
	.globl secondary_entry
secondary_entry:
	msr	daifset, #0xf
	mov	x20, x0
	bl	enter_el1
	ldr	x5, [x20, #SB_TCR]
	cbz	x5, 1f
	mrs	x1, id_aa64mmfr0_el1
	sbfx	x1, x1, #TGRAN_SHIFT, #4
	cmp	x1, #TGRAN_LPA2
	fail_if	lt, "a CPU lacks the 52-bit addresses (LPA2) that CPU 0 has"
1:	ldp	x0, x22, [x20, #SB_TTBR1]
	ldp	x23, x24, [x20, #SB_THREAD]
	bl	enable_mmu
	ldr	x0, =secondary_high
	br	x0

/*
 * To EL1 with everything that matters in a known state, whatever firmware left. x21 = the level we
 * came from. Clobbers x0 to x3, x30.
 */
enter_el1:
	mrs	x21, CurrentEL
	lsr	x21, x21, #2
	adr	x0, early_vectors
	msr	vbar_el1, x0
	msr	tpidr_el1, xzr		/* counts early faults until it holds the per-CPU offset */
	cmp	x21, #2
	fail_if	hi, "entered at EL3: run under a firmware that provides PSCI"
	ldr	x1, =SCTLR_BASE
	mov	x2, #PSTATE_BOOT
	b.eq	from_el2
	msr	sctlr_el1, x1
	msr	spsr_el1, x2
	msr	elr_el1, x30
	isb
	eret

from_el2:
	adr	x0, early_vectors
	msr	vbar_el2, x0
	mov	x3, #(1 << 31)		/* RW: EL1 is AArch64; no trap, no second stage, no VHE */
	msr	hcr_el2, x3
	isb				/* with E2H off the registers below mean what they say */
	msr	sctlr_el1, x1
	msr	spsr_el2, x2
	msr	elr_el2, x30
	mrs	x0, midr_el1
	msr	vpidr_el2, x0
	mrs	x0, mpidr_el1
	msr	vmpidr_el2, x0
	mov	x0, #3			/* EL1 may use the physical counter and timer */
	msr	cnthctl_el2, x0
	msr	cntvoff_el2, xzr
	msr	vttbr_el2, xzr
	msr	hstr_el2, xzr
	mov	x0, #0x33ff		/* RES1 bits; floating point is not trapped to EL2 */
	msr	cptr_el2, x0

	mrs	x1, id_aa64dfr0_el1	/* all event counters to EL1, if there is a PMU */
	ubfx	x1, x1, #8, #4
	mov	x0, #0
	cbz	x1, 1f
	cmp	x1, #0xf
	b.eq	1f
	mrs	x0, pmcr_el0
	ubfx	x0, x0, #11, #5
1:	msr	mdcr_el2, x0

	mrs	x1, id_aa64mmfr0_el1	/* fine-grained traps off, if there are any */
	ubfx	x1, x1, #56, #4
	cbz	x1, 2f
	msr	s3_4_c1_c1_4, xzr	/* HFGRTR_EL2 */
	msr	s3_4_c1_c1_5, xzr	/* HFGWTR_EL2 */
	msr	s3_4_c1_c1_6, xzr	/* HFGITR_EL2 */
	msr	s3_4_c3_c1_4, xzr	/* HDFGRTR_EL2 */
	msr	s3_4_c3_c1_5, xzr	/* HDFGWTR_EL2 */
2:	mrs	x1, id_aa64mmfr1_el1	/* HCRX_EL2, if there is one */
	ubfx	x1, x1, #40, #4
	cbz	x1, 3f
	msr	s3_4_c1_c2_2, xzr

3:	mrs	x1, id_aa64pfr0_el1	/* the GIC's system registers, if any, are EL1's too */
	ubfx	x1, x1, #24, #4
	cbz	x1, 4f
	mrs	x0, s3_4_c12_c9_5	/* ICC_SRE_EL2: SRE, Enable */
	mov	x2, #9
	orr	x0, x0, x2
	msr	s3_4_c12_c9_5, x0
	isb
	mrs	x0, s3_4_c12_c9_5
	tbz	x0, #0, 4f		/* firmware keeps them off: a GICv2 it is */
	msr	s3_4_c12_c11_0, xzr	/* ICH_HCR_EL2: no virtual interrupts */
4:	isb
	eret

/*
 * The bss, tables and stacks in it, lines in the caches thrown away: before it is written, so that
 * no old dirty line is written back over it; and after, so that no old clean line hides it
 * (DDI 0487 B2, on mismatched memory attributes; the boot protocol: only the image is clean).
 */
invalidate_bss:
	adr_l	x0, bss_start
	adr_l	x1, bss_end
	mrs	x2, ctr_el0
	ubfx	x2, x2, #16, #4
	mov	x3, #4
	lsl	x2, x3, x2		/* smallest data cache line */
	sub	x3, x2, #1
	bic	x0, x0, x3
	dsb	sy			/* stores made with the MMU off are in memory first */
1:	dc	ivac, x0
	add	x0, x0, x2
	cmp	x0, x1
	b.lo	1b
	dsb	sy			/* and the lines are gone before what follows */
	ret

/*
 * Identity map of the image's first 2 MiB, which hold this code; the image at KERNEL_VA; the direct
 * map for each GiB that the image touches; the guessed console. arch_start() adds the rest. Pages,
 * but for the direct map: a block is larger than the alignment of the image with some granules.
 */
make_boot_tables:
	mov	x7, x30
	put_leaf_table boot_id_top, x19, boot_id_l2, boot_id_l1, boot_id_l0
	ldr	x3, =BOOT_ID_PAGE
	orr	x3, x3, x19
	ubfx	x2, x19, #PAGE_SHIFT, #PT_INDEX_BITS
	add	x0, x0, x2, lsl #3
	mov	x2, #(0x200000 >> PAGE_SHIFT)
	bl	put_pages

	ldr	x1, =EARLY_UART_VA
	put_leaf_table boot_top, x1, boot_l2, boot_uart_l1, boot_uart_l0
	ldr	x2, =(EARLY_UART_PA + BOOT_DEVICE_PAGE)
	str	x2, [x0]

	ldr	x1, =KERNEL_VA
	put_leaf_table boot_top, x1, boot_l2, boot_image_l1, boot_image_l0
	ldr	x3, =BOOT_IMAGE_PAGE
	orr	x3, x3, x19
	mov	x2, #(0x200000 >> PAGE_SHIFT)
	bl	put_pages

.if KERNEL_LEVELS == 3			/* two entries of the root; else they share its table */
	adr_l	x0, boot_top
	ldr	x1, =DIRECT_MAP
	put_table x0, x1, 2, boot_direct
	add	x0, x0, #8
	put_table x0, x1, 2, boot_direct + (1 << PAGE_SHIFT)
.endif
	adr_l	x0, boot_direct
	lsr	x2, x19, #30
	lsl	x2, x2, #(30 - BOOT_DIRECT_SHIFT)
	adr_l	x4, image_end - 1
	lsr	x4, x4, #30
	add	x4, x4, #1
	lsl	x4, x4, #(30 - BOOT_DIRECT_SHIFT)
	ldr	x3, =BOOT_DIRECT_BLOCK
1:	orr	x5, x3, x2, lsl #BOOT_DIRECT_SHIFT
	str	x5, [x0, x2, lsl #3]
	add	x2, x2, #1
	cmp	x2, x4
	b.lo	1b
	ret	x7

/* x0 = first entry, x3 = what goes there, x2 = number of pages, each behind the other. */
put_pages:
	str	x3, [x0], #8
	add	x3, x3, #(1 << PAGE_SHIFT)
	subs	x2, x2, #1
	b.ne	put_pages
	ret

/*
 * x0 = TTBR1, x5 = more of TCR. The identity map goes into TTBR0. The local TLB and instruction
 * cache may hold anything after reset: they are emptied before the first translation, which the
 * ISBs keep behind it (DDI 0487 D7 and D8, on caches and TLBs at reset; D19, on synchronization of
 * registers). Clobbers x1 to x4.
 */
enable_mmu:
	adrp	x1, boot_id_top
	msr	ttbr0_el1, x1
	msr	ttbr1_el1, x0
	mov	x1, #MAIR_VALUE
	msr	mair_el1, x1
	ldr	x1, =(TCR_BASE + TCR_T0SZ_BOOT)
	mrs	x2, id_aa64mmfr0_el1
	and	x3, x2, #0xf		/* PARange, 48 bits at most without larger addresses */
	mov	x4, #TCR_IPS_48_BITS
	cmp	x3, x4
	csel	x3, x3, x4, lo
	orr	x1, x1, x3, lsl #TCR_IPS_SHIFT
	ubfx	x3, x2, #4, #4		/* ASIDBits: 2 means 16 */
	lsr	x3, x3, #1
	orr	x1, x1, x3, lsl #TCR_AS_SHIFT
	orr	x1, x1, x5
	msr	tcr_el1, x1
	isb
	tlbi	vmalle1
	ic	iallu
	dsb	nsh
	isb
	ldr	x1, =(SCTLR_BASE + SCTLR_ON)
	msr	sctlr_el1, x1
	isb
	ret

/*
 * void boot_swap_ttbr1(phys_t root, phys_t empty, u64 tcr): called at its identity address,
 * everything masked. Old and new tables map the same addresses with leaves of other sizes, so the
 * TLB must hold nothing of the old ones when the new ones can be walked (DDI 0487 D8,
 * break-before-make): the empty root stands between them. Then the format of entries may change
 * too: an empty table and the identity map, which is walked meanwhile, mean the same in each.
 */
	.globl boot_swap_ttbr1
boot_swap_ttbr1:
	dsb	ish			/* stores to the new tables, before any walk of them */
	msr	ttbr1_el1, x1
	isb				/* no walk of the old root from here */
	msr	tcr_el1, x2
	isb				/* nor any by the old format */
	tlbi	vmalle1
	dsb	nsh			/* and nothing left of it */
	isb
	msr	ttbr1_el1, x0
	isb				/* before the return, which needs it */
	ret

	.ltorg

/*
 * x0 = message. Prints it on the guessed console, ends the machine with EXIT_BAD_BOOT through
 * semihosting, else stops. A fault in one step leads to the next: tpidr_el1 counts them.
 */
early_fail:
	mov	x1, #1
	msr	tpidr_el1, x1
	ldr	x1, =EARLY_UART_PA
1:	ldrb	w2, [x0], #1
	cbz	w2, early_exit
2:	ldr	w3, [x1, #0x18]		/* flags: transmit FIFO full */
	tbnz	w3, #5, 2b
	str	w2, [x1]
	b	1b
early_exit:
	mov	x1, #2
	msr	tpidr_el1, x1
	adr	x1, early_exit_block
	mov	w0, #0x20		/* SYS_EXIT_EXTENDED */
	hlt	#0xf000
early_hang:
	wfi
	b	early_hang
	.balign	8
early_exit_block:
	.quad	0x20026, 2		/* ADP_Stopped_ApplicationExit, EXIT_BAD_BOOT */
early_fault_text:
	.asciz	"boot: exception before the MMU was on\nEXIT: STATUS=2\n"

	.balign	2048
early_vectors:
	.rept	16
	b	early_fault
	.balign	128
	.endr
early_fault:
	mrs	x1, tpidr_el1
	adr	x0, early_fault_text
	cbz	x1, early_fail
	cmp	x1, #1
	b.eq	early_exit
	b	early_hang
	.ltorg

/* High addresses from here on. */
	.text
primary_high:
	ldr	x0, =vectors
	msr	vbar_el1, x0
	ldr	x0, =init_thread
	msr	sp_el0, x0		/* current */
	msr	tpidr_el1, xzr		/* CPU 0's per-CPU area is the image's */
	ldr	x0, =init_stack + 2 * STACK_SIZE
	mov	sp, x0
	mov	x29, #0
	isb
	ldr	x0, =boot_entry_cycles
	str	x22, [x0]
	mov	x0, x20
	mov	x1, x19
	mov	x2, x21
	mov	x30, #0
	b	arch_start

secondary_high:
	ldr	x0, =vectors
	msr	vbar_el1, x0
	mov	sp, x22
	msr	sp_el0, x23
	msr	tpidr_el1, x24
	isb
	mov	x29, #0
	mov	x30, #0
	b	secondary_main
	.ltorg

/*
 * Tables; and the boot CPU's emergency stack, at an odd multiple of STACK_SIZE as every stack.
 */
	.section .bss.page_aligned, "aw", %nobits
.macro table name
	.globl	\name
\name:	.skip	1 << PAGE_SHIFT
.endm
	.balign	2 * STACK_SIZE
	.skip	STACK_SIZE
	.globl	emergency_stack_top
	.skip	STACK_SIZE
emergency_stack_top:
	table	boot_top
	table	boot_image_l0
	table	boot_uart_l0
	table	boot_id_top
	table	boot_id_l0
	table	empty_root
	.globl	boot_direct
.if KERNEL_LEVELS == 4
	table	boot_l2
	table	boot_image_l1
	table	boot_uart_l1
	table	boot_id_l2
	table	boot_id_l1
	.set	boot_direct, boot_l2 + 8 * ((DIRECT_MAP >> 30) & 0x1ff)
.elseif KERNEL_LEVELS == 3
	table	boot_image_l1
	table	boot_id_l1
	.set	boot_uart_l1, boot_image_l1 /* one entry of the root */
	table	boot_direct
	.skip	1 << PAGE_SHIFT
.else
	.set	boot_direct, boot_top + 8 * ((DIRECT_MAP >> 29) & 0x1fff)
.endif
