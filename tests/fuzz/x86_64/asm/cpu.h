/* SPDX-License-Identifier: MIT */
/*
 * A PC's I/O ports, answered by the target; and the function that reads what its loader left.
 */
#ifndef ASM_CPU_H
#define ASM_CPU_H

#include <types.h>

u8 shim_inb(u16 port);
void shim_outb(u16 port, u8 value);

static inline u8 inb(u16 port)
{
	return shim_inb(port);
}
static inline void outb(u16 port, u8 value)
{
	shim_outb(port, value);
}

/* As the port's own. */
struct boot_registers {
	u32 a, d, b, word;
};
void firmware_read(const struct boot_registers *regs);

#endif
