/* SPDX-License-Identifier: MIT */
/*
 * The software interrupts of RISC-V's ACLINT for S-mode (SSWI): a register for each CPU.
 */
#ifndef GRACE_ACLINT_H
#define GRACE_ACLINT_H

#include <cpumask.h>
#include <fdt.h>

/*
 * Finds and maps each CPU's register. intc: the phandle of each CPU's own controller. Boot CPU.
 * -ENODEV unless every CPU has one.
 */
int sswi_init(const struct fdt *f, const u32 *intc, unsigned int nr_cpus);
/* Makes S-mode's software interrupt pending on the CPUs of mask. Any context; orders nothing. */
void sswi_send_ipi(cpumask_t mask);

#endif
