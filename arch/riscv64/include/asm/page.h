/* SPDX-License-Identifier: MIT */
/*
 * Page and table geometry: the same for Sv39, Sv48 and Sv57.
 */
#ifndef GRACE_ASM_PAGE_H
#define GRACE_ASM_PAGE_H

#define PAGE_SHIFT 12
#define PT_INDEX_BITS 9
#define PT_LEVELS_MAX 5

#endif
