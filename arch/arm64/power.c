// SPDX-License-Identifier: MIT
/*
 * The end of the machine.
 *
 * Semihosting hands QEMU an exit status; where nothing takes the call it is an undefined
 * instruction, which the exception table passes over. Then PSCI, which has no status to give; then
 * nothing.
 */
#include <arch.h>
#include <asm/port.h>
#include <psci.h>

#define ADP_STOPPED_APPLICATION_EXIT 0x20026

void arch_power_off(int status)
{
	u64 block[2] = { ADP_STOPPED_APPLICATION_EXIT, (u64)status };

	arch_irq_disable();
	semihosting_exit(block);
	psci_system_off();
	for (;;)
		__asm__ __volatile__("wfi" ::: "memory");
}
