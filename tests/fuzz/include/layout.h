/* SPDX-License-Identifier: MIT */
/*
 * The kernel half of a host process: <layout.h>, at addresses that it can have. Of the direct map
 * only what a target made memory of can be touched (host.h).
 */
#ifndef GRACE_LAYOUT_H
#define GRACE_LAYOUT_H

#define DIRECT_MAP 0x200000000000
#define DIRECT_MAP_SIZE 0x2000000000
#define VMEMMAP 0x210000000000
#define VMALLOC_START 0x220000000000
#define VMALLOC_END 0x220040000000
#define KERNEL_VA 0x230000000000

#define STACK_SHIFT 14
#define STACK_SIZE 0x4000

#define MAX_CPUS 64

#endif
