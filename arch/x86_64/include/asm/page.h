/* SPDX-License-Identifier: MIT */
/*
 * Geometry of the page tables: 4 KiB pages, tables of 512 entries, 4 levels, or 5 with LA57.
 */
#ifndef ASM_PAGE_H
#define ASM_PAGE_H

#define PAGE_SHIFT 12
#define PT_INDEX_BITS 9
#define PT_LEVELS_MAX 5

#endif
