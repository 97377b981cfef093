/* SPDX-License-Identifier: MIT */
/* Where the image's physical addresses begin, and the alignment of its segments. */
#include <asm/page.h>
#define LINK_PHYS 0x200000
#define LINK_ALIGN (1 << PAGE_SHIFT)
#define LINK_SIZE_MAX 0x200000 /* what the boot tables map of it */
