/* SPDX-License-Identifier: MIT */
/*
 * Page and table geometry. The granule is chosen when the image is built (PAGE_SIZE=): each has its
 * own size of tables, and so its own number of levels for the same addresses.
 */
#ifndef ASM_PAGE_H
#define ASM_PAGE_H

#if defined(GRACE_PAGE_64K)
#define PAGE_SHIFT 16
#define PT_INDEX_BITS 13
#define KERNEL_LEVELS 2 /* of tables under TTBR1: as many as the kernel's addresses need */
#elif defined(GRACE_PAGE_16K)
#define PAGE_SHIFT 14
#define PT_INDEX_BITS 11
#define KERNEL_LEVELS 3
#else
#define PAGE_SHIFT 12
#define PT_INDEX_BITS 9
#define KERNEL_LEVELS 4
#endif
#if PAGE_SHIFT == 12
#define PT_LEVELS_MAX 5
#else
#define PT_LEVELS_MAX 4
#endif

#endif
