// SPDX-License-Identifier: MIT
/*
 * Ways to go down that x86_64 has: see ../crash.c.
 */
#include "../crash.h"

#include <apic.h>
#include <arch.h>
#include <boot.h>
#include <percpu.h>

/* As from a watchdog or a button: not by arch_send_nmi(), which keeps count of the kernel's own. */
CRASH(nmi)
{
	apic_send_nmi((u32)boot.hwid[smp_processor_id()]);
	for (;;)
		cpu_relax();
}

/* A stack that is nowhere: the fault's own frame finds no place. */
CRASH(double)
{
	__asm__ __volatile__("movq %0, %%rsp\n"
			     "	pushq $0" ::"r"(1ULL << 62)
			     : "memory");
}
