/* SPDX-License-Identifier: MIT */
/*
 * Geometry, as on the real ports.
 */
#ifndef GRACE_ASM_PAGE_H
#define GRACE_ASM_PAGE_H

#define PAGE_SHIFT 12
#define PT_INDEX_BITS 9
#define PT_LEVELS_MAX 5

#endif
