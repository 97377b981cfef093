// SPDX-License-Identifier: MIT
/*
 * The high precision event timer (IA-PC HPET specification 1.0a): its main counter.
 *
 * Why it is used: it tells the TSC's rate. It counts at 10 MHz at least, and one load reads it, so
 * that microseconds are enough where the PIT needs milliseconds. Its comparators stay as they are.
 * Contexts: see include/hpet.h. See also: arch/x86_64/time.c.
 */
#include <acpi.h>
#include <hpet.h>
#include <kmap.h>

/* Registers by number of 32-bit words. */
#define HPET_PERIOD 1 /* upper half of the capabilities: femtoseconds a count */
#define HPET_CONFIG 4
#define HPET_COUNTER 60
#define HPET_WORDS 256

#define CONFIG_ENABLE BIT(0)
#define PERIOD_MAX 100000000u /* section 2.3.4 */
#define FEMTOSECONDS 1000000000000000ULL

static volatile u32 *registers;

u32 hpet_start(void)
{
	u32 period;

	if (!acpi.hpet || acpi.hpet % 8 != 0)
		return 0;
	registers = ioremap(acpi.hpet, HPET_WORDS * sizeof(u32));
	if (!registers)
		return 0;
	period = registers[HPET_PERIOD];
	if (period < FEMTOSECONDS / UINT32_MAX + 1 || period > PERIOD_MAX)
		return 0;
	registers[HPET_CONFIG] |= (u32)CONFIG_ENABLE;
	return (u32)(FEMTOSECONDS / period);
}

u32 hpet_read(void)
{
	return registers[HPET_COUNTER];
}
