// SPDX-License-Identifier: MIT
/*
 * Arm PrimeCell UART, PL011 (DDI 0183).
 *
 * The firmware has set the line's speed and format; they are left alone.
 *
 * Locks and contexts: none of its own. putc and getc touch different registers' bits, so that a
 * reader does not disturb a writer; writers are kept apart by the callers' lock.
 * See also: include/uart.h, include/console.h.
 */
#include <atomic.h>
#include <uart.h>

#define REG_DR 0x00
#define REG_FR 0x18
#define REG_CR 0x30
#define REG_IMSC 0x38
#define REG_ICR 0x44

#define FR_RX_EMPTY 0x10
#define FR_TX_FULL 0x20
#define CR_ENABLE 0x001
#define CR_TX 0x100
#define CR_RX 0x200
#define INT_RX 0x010
#define INT_RX_TIMEOUT 0x040 /* fewer characters than the FIFO's mark, and none coming */
#define INT_ALL 0x7ff

/* How often putc looks for room: a dead UART loses characters and does not hang the kernel. */
#define PUTC_PATIENCE 1000000u

static volatile u8 *regs;
static bool gone;

static u32 reg_read(unsigned int reg)
{
	return *(volatile u32 *)(regs + reg);
}

static void reg_write(unsigned int reg, u32 value)
{
	*(volatile u32 *)(regs + reg) = value;
}

static void pl011_putc(char c)
{
	unsigned int n = gone ? 1 : PUTC_PATIENCE;

	while (reg_read(REG_FR) & FR_TX_FULL) {
		if (--n == 0) {
			gone = true;
			return;
		}
		cpu_relax();
	}
	gone = false;
	reg_write(REG_DR, (u8)c);
}

/* Error bits above the character are dropped: a break reads as 0. */
static int pl011_getc(void)
{
	if (reg_read(REG_FR) & FR_RX_EMPTY)
		return -1;
	return reg_read(REG_DR) & 0xff;
}

static void pl011_enable_rx_irq(void)
{
	reg_write(REG_ICR, INT_ALL);
	reg_write(REG_IMSC, INT_RX | INT_RX_TIMEOUT);
}

static const struct uart_ops pl011_ops = {
	.name = "PL011",
	.putc = pl011_putc,
	.getc = pl011_getc,
	.enable_rx_irq = pl011_enable_rx_irq,
};

const struct uart_ops *uart_pl011_init(volatile void *base)
{
	regs = base;
	reg_write(REG_IMSC, 0);
	reg_write(REG_CR, reg_read(REG_CR) | CR_ENABLE | CR_TX | CR_RX);
	return &pl011_ops;
}
