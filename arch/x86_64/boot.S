/* SPDX-License-Identifier: MIT */
/*
 * From the loader to C: the boot CPU by PVH (Xen note 18), by Multiboot 2, or by a loader that
 * jumps to the ELF entry; every other CPU by the start-up IPI.
 *
 * Entry: 32-bit protected mode, paging off, or 64-bit mode with this code mapped at its physical
 * address. Nothing else is believed: interrupts may be on. What the registers hold is kept in
 * boot_registers, for firmware.c to find out which loader it was.
 * Until paging is on, code and data are used at their physical addresses: PHYS(). A CPU that lacks
 * what the kernel needs is named on COM1 and the machine is ended.
 * See also: start.c, which goes on; smp.c, which starts the others.
 */
#include <asm/cpu.h>
#include <asm/link.h>
#include <layout.h>

#define PHYS(x) ((x) - KERNEL_VA + LINK_PHYS)
#define COM1 0x3f8
#define EXIT_BAD_BOOT 2
#define NX_HIGH 0x80000000	/* in the upper half of an entry */
#define MB2_HEADER_MAGIC 0xe85250d6
#define TABLE 0x003		/* present, writable */
#define LEAF_2M 0x0e3		/* and accessed, dirty, large */

	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 8, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.quad	PHYS(primary_entry)

	.section .head.text, "ax"
	.code32
/* The ELF entry is a physical address too. No function: the table of symbols shall not have it. */
	.weak	_start
	.type	_start, @object
	.set	_start, PHYS(primary_entry)

primary_entry:
	cli
	cld
	movl	%eax, %ecx
	xorl	%eax, %eax
	.byte	0x40			/* 32-bit: inc eax. 64-bit: a prefix that changes nothing */
	testl	%eax, %eax
	jz	primary_from_64
	movl	$4, %esi
primary_32:
	movl	%ecx, PHYS(boot_registers)
	movl	%edx, PHYS(boot_registers) + 4
	movl	%ebx, PHYS(boot_registers) + 8
	movl	%esi, PHYS(boot_registers) + 12
	lgdt	PHYS(boot_gdtr)
	ljmp	$BOOT_CS32, $PHYS(1f)
1:	movl	$KERNEL_DS, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	rdtsc
	movl	%eax, PHYS(boot_entry_cycles)
	movl	%edx, PHYS(boot_entry_cycles) + 4
	movl	$PHYS(banner), %esi
	movl	$PHYS(1f), %edi
	jmp	print
1:	jmp	check_cpu
checked:
	movl	$PHYS(bss_start), %edi
	movl	$PHYS(bss_end), %ecx
	subl	%edi, %ecx
	shrl	$2, %ecx
	xorl	%eax, %eax
	rep stosl
	jmp	make_tables
made:
	movl	$PHYS(primary_64), %edi
	jmp	enter_64

/* A 64-bit loader's paging is given up: it may have the wrong number of levels. On its stack. */
	.code64
primary_from_64:
	movl	%edi, %ecx		/* a C function's arguments, eax and edx in 32 bits */
	movl	%esi, %edx
	xorl	%ebx, %ebx		/* no start info */
	movl	$8, %esi
	lgdt	PHYS(boot_gdtr)
	pushq	$BOOT_CS32
	pushq	$PHYS(1f)
	lretq
	.code32
1:	movl	$KERNEL_DS, %eax
	movl	%eax, %ds
	movl	%cr0, %eax
	andl	$~CR0_PG, %eax
	movl	%eax, %cr0
	jmp	primary_32

/* Goes to cpu_lacks with edi = name unless the bit of that CPUID leaf's register is set. */
.macro need leaf, register, bit, name
	movl	$\leaf, %eax
	xorl	%ecx, %ecx
	cpuid
	movl	$PHYS(\name), %edi
	btl	$\bit, %\register
	jnc	cpu_lacks
.endm

check_cpu:
	need	1, edx, 4, name_tsc
	need	1, edx, 9, name_apic
	need	1, edx, 13, name_pge
	need	1, edx, 16, name_pat
	need	1, edx, 26, name_sse2
	movl	$PHYS(name_long_mode), %edi
	movl	$0x80000000, %eax
	cpuid
	cmpl	$0x80000001, %eax
	jb	cpu_lacks
	need	0x80000001, edx, 29, name_long_mode
	need	0x80000001, edx, 20, name_nx
	xorl	%eax, %eax
	cpuid
	cmpl	$7, %eax
	jb	checked
	movl	$7, %eax
	xorl	%ecx, %ecx
	cpuid
	btl	$16, %ecx		/* LA57: five levels */
	jnc	checked
	orl	$CR4_LA57, PHYS(boot_cr4)
	movl	$PHYS(boot_pml5), PHYS(boot_cr3)
	jmp	checked

/*
 * The low 1 GiB at its own address, to come from physical to high addresses; the low 4 GiB at
 * DIRECT_MAP, not executable; the image at KERNEL_VA. Everything above DIRECT_MAP lies under the
 * last entry of the last table but one, with four levels or five. arch_cpu_init() leaves all this
 * behind.
 */
make_tables:
	movl	$PHYS(boot_pd), %edi
	movl	$LEAF_2M, %eax
1:	movl	%eax, (%edi)
	addl	$8, %edi
	addl	$0x200000, %eax
	jnc	1b			/* wraps at 4 GiB */

	movl	$(PHYS(boot_pd) + TABLE), %eax
	movl	%eax, PHYS(boot_pdpt_low)
	movl	$(PHYS(boot_pdpt_high) + 256 * 8), %edi
	movl	$4, %ecx
1:	movl	%eax, (%edi)
	movl	$NX_HIGH, 4(%edi)
	addl	$8, %edi
	addl	$4096, %eax
	loop	1b

	movl	$(PHYS(boot_pd_image) + TABLE), PHYS(boot_pdpt_high) + 510 * 8
	movl	$PHYS(boot_pd_image), %edi
	movl	$(LINK_PHYS + LEAF_2M), %eax
1:	movl	%eax, (%edi)
	addl	$8, %edi
	addl	$0x200000, %eax
	cmpl	$PHYS(image_end), %eax
	jb	1b

	movl	$(PHYS(boot_pdpt_low) + TABLE), PHYS(boot_pml4)
	movl	$(PHYS(boot_pdpt_high) + TABLE), PHYS(boot_pml4) + 511 * 8
	movl	$(PHYS(boot_pml4) + TABLE), PHYS(boot_pml5)
	movl	$(PHYS(boot_pml4) + TABLE), PHYS(boot_pml5) + 511 * 8
	jmp	made

/*
 * edi = 64-bit code to go on at, physical. The order is that of SDM vol. 3, 9.8.5: PAE and tables,
 * long mode, then paging.
 */
enter_64:
	movl	PHYS(boot_cr4), %eax
	movl	%eax, %cr4
	movl	PHYS(boot_cr3), %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$(EFER_LME | EFER_NXE), %eax
	wrmsr
	movl	$CR0_KERNEL, %eax	/* caches on: CD and NW are set after INIT */
	movl	%eax, %cr0
	ljmp	$KERNEL_CS, $PHYS(1f)
	.code64
1:	movl	%edi, %edi
	jmp	*%rdi
	.code32

/* esi = text, edi = where to go on. Takes eax, ecx, edx. A port that is not there swallows it. */
print:
	lodsb
	testb	%al, %al
	jz	3f
	movb	%al, %ah
	movl	$100000, %ecx
1:	movw	$(COM1 + 5), %dx
	inb	%dx, %al
	testb	$0x20, %al
	jnz	2f
	loop	1b
2:	movb	%ah, %al
	movw	$COM1, %dx
	outb	%al, %dx
	jmp	print
3:	jmp	*%edi

/* edi = name of what is missing. */
cpu_lacks:
	movl	%edi, %ebx
	movl	$PHYS(lacks_begin), %esi
	movl	$PHYS(1f), %edi
	jmp	print
1:	movl	%ebx, %esi
	movl	$PHYS(1f), %edi
	jmp	print
1:	movl	$PHYS(lacks_end), %esi
	movl	$PHYS(1f), %edi
	jmp	print
1:	movl	$EXIT_BAD_BOOT, %eax	/* isa-debug-exit, as arch_power_off() */
	outl	%eax, $0xf4
	movw	$0x2000, %ax
	movw	$0x604, %dx
	outw	%ax, %dx
1:	cli
	hlt
	jmp	1b

/* Where the trampoline leads: the first start is over, tables and GDT are there. */
	.globl	secondary_32
secondary_32:
	movl	$KERNEL_DS, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$PHYS(secondary_64), %edi
	jmp	enter_64

	.code64
/* Still at physical addresses; from here to the high ones. */
primary_64:
	movq	$primary_high, %rax
	jmp	*%rax
secondary_64:
	movq	$secondary_high, %rax
	jmp	*%rax

/*
 * Multiboot 2's header: entered at primary_entry too, with what firmware.c reads wanted. Of the
 * flat image, by addresses: the entry that the ELF header has to name, for bootelf, is physical,
 * and GRUB looks for it among the segments' virtual addresses.
 */
	.balign	8
mb2_header:
	.long	MB2_HEADER_MAGIC, 0, mb2_header_end - mb2_header
	.long	-(MB2_HEADER_MAGIC + mb2_header_end - mb2_header)
	.word	1, 0			/* tags wanted: command line, memory map */
	.long	16, 1, 6		/* (each tag begins at a multiple of 8) */
	.word	2, 0			/* where the image goes, and what to clear behind it */
	.long	24, PHYS(mb2_header), LINK_PHYS, PHYS(bss_start), PHYS(bss_end)
	.word	3, 0			/* entry */
	.long	12, PHYS(primary_entry), 0
	.word	0, 0
	.long	8
mb2_header_end:

	.text
.macro set_msr msr
	movl	$\msr, %ecx
	wrmsr
.endm

primary_high:
	xorl	%eax, %eax
	xorl	%edx, %edx
	movl	%eax, %fs
	movl	%eax, %gs
	set_msr	MSR_GS_BASE		/* CPU 0's per-CPU area is the image's: distance 0 */
	set_msr	MSR_KERNEL_GS_BASE
	movq	$(init_stack + 2 * STACK_SIZE), %rsp
	xorl	%ebp, %ebp
	call	arch_start
	ud2

/*
 * A CPU that was started looks whether it is the one that is wanted: one that was given up and
 * comes late must not run as another. What it needs is loaded before it claims the start, for
 * afterwards smp.c uses the variables for the next CPU. Orders the loads before the claim (a locked
 * instruction is a full barrier). Pairs with arch_cpu_start() and claimed() in smp.c.
 */
secondary_high:
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	movl	$0xb, %esi
	xorl	%eax, %eax
	cpuid
	cmpl	%esi, %eax
	jb	1f
	movl	%esi, %eax
	xorl	%ecx, %ecx
	cpuid
	testl	%ebx, %ebx
	jnz	2f			/* edx = the x2APIC id, 32 bits */
1:	movl	$1, %eax
	cpuid
	shrl	$24, %ebx
	movl	%ebx, %edx
2:	movl	%edx, %eax
	movq	secondary_stack(%rip), %rsi
	movq	secondary_percpu(%rip), %rdi
	movq	$-1, %rcx
	lock cmpxchgq %rcx, secondary_apic_id(%rip)
	jne	3f
	movq	kernel_root(%rip), %rax
	movq	%rax, %cr3
	movq	%rsi, %rsp		/* not mapped before */
	movq	%rdi, %rax
	movq	%rdi, %rdx
	shrq	$32, %rdx
	set_msr	MSR_GS_BASE
	xorl	%ebp, %ebp
	call	secondary_main
	ud2
3:	cli
	hlt
	jmp	3b

/*
 * Copied to TRAMPOLINE, where the start-up IPI makes a CPU begin in real mode: cs = TRAMPOLINE /
 * 16, ip = 0.
 */
	.section .rodata
	.globl	trampoline_begin, trampoline_end
	.code16
trampoline_begin:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	trampoline_gdtr - trampoline_begin
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$BOOT_CS32, $PHYS(secondary_32)
	.balign	4
trampoline_gdtr:
	.word	boot_gdt_end - boot_gdt - 1
	.long	PHYS(boot_gdt)
trampoline_end:

	.balign	8
boot_gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* KERNEL_CS: 64-bit code */
	.quad	0x00cf93000000ffff	/* KERNEL_DS */
	.quad	0x00cf9b000000ffff	/* BOOT_CS32 */
boot_gdt_end:
	.balign	4
	.word	0
boot_gdtr:
	.word	boot_gdt_end - boot_gdt - 1
	.quad	PHYS(boot_gdt)

banner:		.asciz "\r\nGrace: started\r\n"
lacks_begin:	.asciz "boot: this CPU has no "
lacks_end:	.asciz ": Grace cannot run on it\r\nEXIT: STATUS=2\r\n"
name_tsc:	.asciz "time-stamp counter (TSC)"
name_apic:	.asciz "local APIC"
name_pge:	.asciz "global pages (PGE)"
name_pat:	.asciz "page attribute table (PAT)"
name_sse2:	.asciz "SSE2"
name_long_mode:	.asciz "64-bit mode (LM)"
name_nx:	.asciz "execute-disable pages (NX)"

	.data
	.balign	8
	.globl	secondary_apic_id, secondary_stack, secondary_percpu, boot_registers
secondary_apic_id:	.quad -1	/* the CPU that is being started, or -1 */
secondary_stack:	.quad 0
secondary_percpu:	.quad 0
boot_registers:		.long 0, 0, 0, 0 /* struct boot_registers */
boot_cr4:		.long CR4_PAE
boot_cr3:		.long PHYS(boot_pml4)

	.section .bss.page_aligned, "aw", @nobits
	.balign	4096
boot_pml5:	.skip 4096
boot_pml4:	.skip 4096
boot_pdpt_low:	.skip 4096
boot_pdpt_high:	.skip 4096
boot_pd_image:	.skip 4096
boot_pd:	.skip 4 * 4096
