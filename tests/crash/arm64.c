// SPDX-License-Identifier: MIT
/*
 * Ways to go down that arm64 has: see ../crash.c.
 */
#include "../crash.h"

#include <arch.h>
#include <asm/port.h>
#include <asm/sysreg.h>
#include <kmap.h>

/* Physical; no machine of QEMU's has anything there. High bits, where entries have them. */
#define NOTHING_THERE (arch.va_bits == 52 ? BIT(51) | BIT(50) | BIT(49) | BIT(48) : 7ULL << 36)
#define VECTOR_SERROR 0x380	   /* from EL1 on its own stack (DDI 0487, D1.3.1) */
#define ESR_SERROR (0x2fULL << 26 | BIT(25))
#define PSTATE_EL1H 0x3c5

/*
 * No instruction raises an SError, and QEMU has none. So this does what the CPU does when it takes
 * one, and goes on at the vector: all that follows is as it will be.
 */
CRASH(serror)
{
	__asm__ __volatile__("msr daifset, #0xf\n"
			     "	adr x9, .\n"
			     "	msr elr_el1, x9\n"
			     "	msr spsr_el1, %1\n"
			     "	msr esr_el1, %2\n"
			     "	isb\n"
			     "	br %0" ::"r"(vectors + VECTOR_SERROR),
			     "r"((u64)PSTATE_EL1H), "r"(ESR_SERROR)
			     : "x9", "memory");
}

/* The stack pointer of user mode, which is no stack here. */
CRASH(sp0)
{
	__asm__ __volatile__("msr spsel, #0\n"
			     "	brk #0" ::
				     : "memory");
}

CRASH(bus)
{
	volatile u32 *p = ioremap(NOTHING_THERE, PAGE_SIZE);

	(void)*p;
	barrier();
}
