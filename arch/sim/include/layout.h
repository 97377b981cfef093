/* SPDX-License-Identifier: MIT */
/*
 * The kernel half of the fourth port: what <layout.h> names, at addresses of the host process.
 *
 * All kernel memory lies in one window, the arena, so that an execution can be undone by words:
 *
 *   DIRECT_MAP   the frames
 *   VMEMMAP      their struct pages
 *   SIM_STACKS   the stacks of threads
 *   SIM_FRAMES   a word for each frame: frame.c
 *   SIM_DATA     the kernel's .data, .bss and per-CPU section (linked there, last: the heap
 *   follows)
 */
#ifndef GRACE_LAYOUT_H
#define GRACE_LAYOUT_H

#define SIM_ARENA 0x10000000UL
#define SIM_ARENA_SIZE 0x01200000UL

#define DIRECT_MAP 0x10000000UL
#define DIRECT_MAP_SIZE 0x00800000UL
#define VMEMMAP 0x10800000UL
#define SIM_STACKS 0x10c00000UL
#define SIM_FRAMES 0x10e00000UL
#define SIM_DATA 0x11000000UL
#define SIM_NR_STACKS 24

#define VMALLOC_START 0x30000000UL
#define VMALLOC_END 0x31000000UL
#define KERNEL_VA SIM_DATA

#define STACK_SHIFT 14
#define STACK_SIZE 0x4000

#define MAX_CPUS 4

#endif
