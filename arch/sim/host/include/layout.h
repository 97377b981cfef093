/* SPDX-License-Identifier: MIT */
/*
 * The kernel half of the whole kernel in a host process: what <layout.h> names, at addresses that
 * the process keeps free and that the address sanitizer has shadow for.
 *
 *   DIRECT_MAP   the frames: one file in memory, mapped here and, by mm/kmap.c, elsewhere
 *   VMEMMAP      their struct pages
 *   VMALLOC      stacks with guards
 *   KERNEL_VA    the program itself
 */
#ifndef GRACE_LAYOUT_H
#define GRACE_LAYOUT_H

#define DIRECT_MAP 0x10000000UL
#define DIRECT_MAP_SIZE 0x08000000UL
#define VMEMMAP 0x18000000UL
#define VMALLOC_START 0x20000000UL
#define VMALLOC_END 0x30000000UL
#define KERNEL_VA 0x40000000UL
#define KERNEL_END 0x80000000UL

/* An instrumented function's frame is several times as large. */
#define STACK_SHIFT 15
#define STACK_SIZE 0x8000
#define SIM_STACKS VMALLOC_START

#define MAX_CPUS 64

#endif
