/* SPDX-License-Identifier: MIT */
/* Where the image's physical addresses begin, and the alignment of its segments. */
#define LINK_PHYS 0x200000
#define LINK_ALIGN 0x1000
