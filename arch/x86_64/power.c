// SPDX-License-Identifier: MIT
/*
 * The end of the machine.
 *
 * QEMU's isa-debug-exit device makes a status of QEMU's own of what is written to it: status * 2 +
 * 1. Where it is missing the machine is switched off through ACPI: with the sleep type 0 in the
 * PM1a control register, which is right for QEMU's PC chipsets, or 5 in the sleep control register
 * of machines without one; the real value stands in bytecode that this kernel does not run.
 * Contexts: any.
 */
#include <acpi.h>
#include <arch.h>
#include <asm/cpu.h>
#include <kmap.h>

#define DEBUG_EXIT_PORT 0xf4
#define PM1_CONTROL_DEFAULT 0x604
#define PM1_SLEEP_ENABLE BIT(13)
#define SLEEP_CONTROL_S5 (5 << 2 | BIT(5))

static volatile u8 *sleep_control;

void power_prepare(void)
{
	if (acpi.sleep_control)
		sleep_control = ioremap(acpi.sleep_control, 1);
}

__noreturn void arch_power_off(int status)
{
	outl(DEBUG_EXIT_PORT, (u32)status);
	outw(acpi.pm1a_control ? acpi.pm1a_control : PM1_CONTROL_DEFAULT, PM1_SLEEP_ENABLE);
	if (sleep_control)
		*sleep_control = SLEEP_CONTROL_S5;
	for (;;)
		__asm__ __volatile__("cli; hlt");
}
