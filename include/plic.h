/* SPDX-License-Identifier: MIT */
/*
 * The RISC-V platform-level interrupt controller: lines of devices to CPUs.
 */
#ifndef GRACE_PLIC_H
#define GRACE_PLIC_H

#include <fdt.h>
#include <layout.h>

/*
 * Finds it and maps it. intc: the phandle of each CPU's own interrupt controller, by which the
 * PLIC's node names the CPUs. Boot CPU. -ENODEV without a PLIC that can be used; the others do
 * nothing then.
 */
int plic_init(const struct fdt *f, const u32 *intc, unsigned int nr_cpus);
/* Lets this CPU take what is routed to it. irqs off. */
void plic_init_cpu(unsigned int cpu);
/* Routes a line to a CPU. -EINVAL for a line or a CPU that the PLIC does not have. Boot CPU. */
int plic_enable(unsigned int line, unsigned int cpu);
/* Handles what waits for this CPU; between irq_enter() and irq_exit(). */
void plic_interrupt(void);

#endif
