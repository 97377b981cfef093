// SPDX-License-Identifier: MIT
/*
 * The 16550 UART and its relatives (PC16550D data sheet; Synopsys DW_apb_uart).
 *
 * The firmware has set the line's speed and it is left alone. Registers are reached through two
 * functions, because a PC has them in I/O space and other machines in memory.
 *
 * Locks and contexts: none of its own. putc and getc touch different registers, so that a reader
 * does not disturb a writer; writers are kept apart by the callers' lock.
 * See also: include/uart.h, include/console.h.
 */
#include <atomic.h>
#include <uart.h>

enum { REG_DATA = 0, REG_IER = 1, REG_FCR = 2, REG_LCR = 3, REG_MCR = 4, REG_LSR = 5 };

#define IER_RX 0x01	/* received data available */
#define FCR_ENABLE 0x01 /* FIFOs on, interrupt at the first character */
#define LCR_8N1 0x03
#define MCR_DTR_RTS 0x03
#define MCR_OUT2 0x08 /* on a PC, the gate between UART and interrupt line */
#define LSR_DATA 0x01
#define LSR_THR_EMPTY 0x20

/*
 * How often putc looks for room. At 9600 baud a character takes 1 ms, at most some 1e5 reads; a
 * UART that never has room is not there, and then the message is lost rather than the machine.
 */
#define PUTC_PATIENCE 1000000u

static const struct uart_16550_access *regs;
static bool gone;

static void uart_putc(char c)
{
	unsigned int n = gone ? 1 : PUTC_PATIENCE;

	while (!(regs->read(REG_LSR) & LSR_THR_EMPTY)) {
		if (--n == 0) {
			gone = true;
			return;
		}
		cpu_relax();
	}
	gone = false;
	regs->write(REG_DATA, (u8)c);
}

static int uart_getc(void)
{
	u8 lsr = regs->read(REG_LSR);

	/* All ones is a bus without a device: no error status has every bit. */
	if (lsr == 0xff || !(lsr & LSR_DATA))
		return -1;
	return regs->read(REG_DATA);
}

static void uart_enable_rx_irq(void)
{
	regs->write(REG_MCR, MCR_DTR_RTS | MCR_OUT2);
	regs->write(REG_IER, IER_RX);
}

static const struct uart_ops uart_16550_ops = {
	.name = "16550",
	.putc = uart_putc,
	.getc = uart_getc,
	.enable_rx_irq = uart_enable_rx_irq,
};

const struct uart_ops *uart_16550_init(const struct uart_16550_access *access)
{
	regs = access;
	regs->write(REG_IER, 0);
	regs->write(REG_LCR, LCR_8N1);
	regs->write(REG_FCR, FCR_ENABLE);
	regs->write(REG_MCR, MCR_DTR_RTS);
	return &uart_16550_ops;
}

static volatile void *mmio_regs;
static unsigned int mmio_shift;

/* Registers that are 4 bytes apart are 32 bits wide: some of them refuse byte accesses. */
static u8 mmio_read(unsigned int reg)
{
	volatile u8 *p = (volatile u8 *)mmio_regs + ((size_t)reg << mmio_shift);

	return mmio_shift == 2 ? (u8) * (volatile u32 *)p : *p;
}

static void mmio_write(unsigned int reg, u8 value)
{
	volatile u8 *p = (volatile u8 *)mmio_regs + ((size_t)reg << mmio_shift);

	if (mmio_shift == 2)
		*(volatile u32 *)p = value;
	else
		*p = value;
}

static const struct uart_16550_access mmio_access = { mmio_read, mmio_write };

const struct uart_ops *uart_16550_init_mmio(volatile void *base, unsigned int reg_shift)
{
	mmio_regs = base;
	mmio_shift = reg_shift;
	return uart_16550_init(&mmio_access);
}
