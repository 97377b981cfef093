/* SPDX-License-Identifier: MIT */
/*
 * The kernel half of every address space. The same on all ports: each address is canonical with
 * Sv39, Sv48 and Sv57, with four and five levels on x86_64, and in TTBR1 from 39 bits up.
 *
 *   DIRECT_MAP   all memory below DIRECT_MAP_SIZE: virtual = DIRECT_MAP + physical; not executable
 *   VMEMMAP      struct page of frame n at VMEMMAP + n * sizeof(struct page); holes are unmapped
 *   VMALLOC      device registers and thread stacks, each with unmapped guards around it
 *   KERNEL_VA    the image: text read-execute, rodata read-only, the rest read-write
 */
#ifndef GRACE_LAYOUT_H
#define GRACE_LAYOUT_H

#include <asm/page.h>

#define DIRECT_MAP 0xffffffc000000000
#define DIRECT_MAP_SIZE 0x2000000000 /* 128 GiB: memory above it is reported and left unused */
#define VMEMMAP 0xffffffe000000000
#define VMALLOC_START 0xfffffff000000000
#define VMALLOC_END 0xfffffff040000000 /* 1 GiB: one root entry even with Sv39 */
#define KERNEL_VA 0xffffffff80000000
#define KERNEL_END 0 /* past the last address */

/*
 * Stacks are STACK_SIZE bytes at an odd multiple of STACK_SIZE; the STACK_SIZE bytes under each are
 * never mapped. So (sp & STACK_SIZE) == 0 means "overflowed", which entry code can test cheaply.
 */
#if PAGE_SHIFT > 14
#define STACK_SHIFT PAGE_SHIFT
#else
#define STACK_SHIFT 14
#endif
#define STACK_SIZE (1 << STACK_SHIFT)

#define MAX_CPUS 64

#endif
