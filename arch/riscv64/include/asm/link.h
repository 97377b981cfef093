/* SPDX-License-Identifier: MIT */
/*
 * Where the image's physical addresses begin, and the alignment of its segments. The flat image
 * runs wherever it was put; the ELF file's addresses are such that QEMU's virt machine has memory.
 */
#define LINK_PHYS 0x80200000
#define LINK_ALIGN 0x1000
