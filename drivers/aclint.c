// SPDX-License-Identifier: MIT
/*
 * Software interrupts for S-mode by a device (RISC-V ACLINT specification 1.0, chapter 4).
 *
 * A SETSSIP register belongs to each hart: a store of 1 makes S-mode's software interrupt pending
 * there, as the firmware does when it is asked, but without a call into it. The hart clears the
 * interrupt in its own sip.
 * Locks and contexts: set-up on the boot CPU; registers are only stored to, by any CPU.
 * See also: arch/riscv64/irq.c, include/aclint.h.
 */
#include <aclint.h>
#include <errno.h>
#include <kmap.h>

#define S_SOFTWARE 1u /* the number of the interrupt in a hart's own controller */
#define SETSSIP(index) (4ULL * (index))

static volatile u32 *registers[MAX_CPUS];

/* A device may serve some of the harts only, so there may be several. */
static void find_registers(const struct fdt *f, int node, const u32 *intc, unsigned int nr_cpus)
{
	u64 addr, size;

	if (!fdt_enabled(f, node) || fdt_reg(f, node, 0, &addr, &size) != 0 ||
	    addr % sizeof(u32) != 0)
		return;
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		int i = fdt_interrupt_index(f, node, intc[cpu], S_SOFTWARE);

		if (i >= 0 && SETSSIP(i + 1) <= size)
			registers[cpu] = ioremap(addr + SETSSIP(i), sizeof(u32));
	}
}

int sswi_init(const struct fdt *f, const u32 *intc, unsigned int nr_cpus)
{
	const char *name = "riscv,aclint-sswi";
	int node = fdt_next_compatible(f, -1, name);

	for (; node >= 0; node = fdt_next_compatible(f, node, name))
		find_registers(f, node, intc, nr_cpus);
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++)
		if (!registers[cpu])
			return -ENODEV;
	return 0;
}

void sswi_send_ipi(cpumask_t mask)
{
	unsigned int cpu;

	for_each_cpu(cpu, mask)
		*registers[cpu] = 1;
}
