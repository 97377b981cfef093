/* SPDX-License-Identifier: MIT */
/*
 * Linker script of all ports. The image is linked at KERNEL_VA and loaded anywhere that is 2 MiB
 * aligned (x86_64: at LINK_PHYS); segments that need different permissions start on pages of their
 * own.
 */
#include <asm/link.h> /* LINK_PHYS, LINK_ALIGN */
#include <layout.h>

ENTRY(_start)

PHDRS
{
	text PT_LOAD FLAGS(5);
	rodata PT_LOAD FLAGS(4);
	data PT_LOAD FLAGS(6);
	note PT_NOTE FLAGS(4);
}

#define LMA(s) AT(ADDR(s) - KERNEL_VA + LINK_PHYS)

SECTIONS
{
	. = KERNEL_VA;
	image_start = .;
	.text : LMA(.text) {
		text_start = .;
		KEEP(*(.head.text))
		*(.text .text.*)
		. = ALIGN(LINK_ALIGN);
		text_end = .;
	} :text
	.rodata : LMA(.rodata) {
		rodata_start = .;
		*(.rodata .rodata.*)
		. = ALIGN(8);
		cmdline_options_start = .;
		KEEP(*(.cmdline_options))
		cmdline_options_end = .;
		commands_start = .;
		KEEP(*(SORT(.commands)))
		commands_end = .;
		crashes_start = .;
		KEEP(*(.crashes))
		crashes_end = .;
		tests_start = .;
		KEEP(*(.tests))
		tests_end = .;
		ex_table_start = .;
		KEEP(*(.ex_table))
		ex_table_end = .;
	} :rodata
	.note : LMA(.note) {
		KEEP(*(.note.Xen))
	} :rodata :note
	.symtab_table : LMA(.symtab_table) {
#if PAGE_SHIFT < 16
		KEEP(*(.symbols))
#endif
		. = ALIGN(LINK_ALIGN);
		rodata_end = .;
	} :rodata
	.data : LMA(.data) {
		data_start = .;
#if PAGE_SHIFT >= 16 /* pages are so large that one more would be empty for the most part */
		KEEP(*(.symbols))
		. = ALIGN(64);
#endif
		*(.data .data.*)
		. = ALIGN(64);
		percpu_start = .;
		*(.percpu)
		. = ALIGN(64);
	} :data
	.percpu_zeroed (NOLOAD) : LMA(.percpu_zeroed) {
		bss_start = .;
		*(.bss.percpu)
		. = ALIGN(64);
		percpu_end = .;
	} :data
	.bss : LMA(.bss) {
		*(.bss.page_aligned)
		*(.bss .bss.* COMMON)
		. = ALIGN(LINK_ALIGN);
		bss_end = .;
		image_end = .;
	} :data
	/DISCARD/ : { *(.comment) *(.eh_frame*) *(.note.*) *(.gnu*) }
}
#ifdef LINK_SIZE_MAX
ASSERT(image_end - image_start <= LINK_SIZE_MAX, "the image is too large for the boot tables")
#endif
