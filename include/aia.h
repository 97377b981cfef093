/* SPDX-License-Identifier: MIT */
/*
 * The RISC-V Advanced Interrupt Architecture: interrupt files (IMSIC), in which a store sets an
 * interrupt of a CPU, and the controller of wired interrupts (APLIC), which either interrupts CPUs
 * itself or stores into their files.
 */
#ifndef GRACE_AIA_H
#define GRACE_AIA_H

#include <cpumask.h>
#include <fdt.h>

/* ---- Interrupt files: drivers/imsic.c ---------------------------------------------------- */

/*
 * Finds and maps the file of every CPU. intc: the phandle of each CPU's own controller. Boot CPU.
 * -ENODEV unless each CPU has one that can be used; the rest is not called then.
 */
int imsic_init(const struct fdt *f, const u32 *intc, unsigned int nr_cpus);
/* This CPU takes interrupts from its file from now on. irqs off. */
void imsic_init_cpu(unsigned int cpu);
/* Interrupts the CPUs of mask: they run handle_ipi(). Any context; orders nothing. */
void imsic_send_ipi(cpumask_t mask);
/* Handles what waits in this CPU's file; between irq_enter() and irq_exit(). */
void imsic_interrupt(void);

/* Where a wired interrupt is sent as a message. */
struct imsic_target {
	u32 hart;     /* as the controllers' registers number harts */
	u32 identity; /* which interrupt of the file */
};
/*
 * An interrupt of the boot CPU's file for a line of the controller that the phandle names. Boot
 * CPU, before imsic_init_cpu(). -ENODEV if its messages do not go to these files, -EINVAL if they
 * have no such interrupt.
 */
int imsic_enable(u32 parent, unsigned int line, struct imsic_target *t);

/* ---- Wired interrupts: drivers/aplic.c --------------------------------------------------- */

/* Finds and maps the controller of the console's line. msi: imsic_init() succeeded. Boot CPU. */
int aplic_init(const struct fdt *f, const u32 *intc, bool msi);
/* Routes a line to the boot CPU. Boot CPU. -EINVAL for one that there is not. */
int aplic_enable(unsigned int line);
/* Where it interrupts directly: handles what waits for this CPU; as imsic_interrupt(). */
void aplic_interrupt(void);
/* Where it sends messages: one came for the line, and has been taken. */
void aplic_message(unsigned int line);
/* True if it stores into interrupt files. */
bool aplic_sends_messages(void);

#endif
