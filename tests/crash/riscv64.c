// SPDX-License-Identifier: MIT
/*
 * Ways to go down that riscv64 has: see ../crash.c.
 */
#include "../crash.h"

#include <arch.h>
#include <kmap.h>

#define NOTHING_THERE (7ULL << 36) /* physical; no machine of QEMU's has anything there */

CRASH(bus)
{
	volatile u32 *p = ioremap(NOTHING_THERE, PAGE_SIZE);

	(void)*p;
	barrier();
}
