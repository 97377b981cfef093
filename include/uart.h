/* SPDX-License-Identifier: MIT */
/*
 * UART drivers. Each init function probes nothing: base comes from the firmware. They return the
 * operations for console_register().
 */
#ifndef GRACE_UART_H
#define GRACE_UART_H

#include <console.h>

/* How a 16550's registers are reached; the port supplies I/O-port access where it exists. */
struct uart_16550_access {
	u8 (*read)(unsigned int reg);
	void (*write)(unsigned int reg, u8 value);
};
const struct uart_ops *uart_16550_init(const struct uart_16550_access *access);
/* Registers in memory, already mapped, 1 << reg_shift bytes apart. */
const struct uart_ops *uart_16550_init_mmio(volatile void *regs, unsigned int reg_shift);
/* Arm PL011 (DDI 0183), already mapped. */
const struct uart_ops *uart_pl011_init(volatile void *regs);

#endif
