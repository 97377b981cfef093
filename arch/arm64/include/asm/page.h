/* SPDX-License-Identifier: MIT */
/*
 * Page and table geometry: the 4 KiB granule, 512 entries a table, up to 4 levels (48-bit VA).
 */
#ifndef ASM_PAGE_H
#define ASM_PAGE_H

#define PAGE_SHIFT 12
#define PT_INDEX_BITS 9
#define PT_LEVELS_MAX 4

#endif
