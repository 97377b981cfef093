/* SPDX-License-Identifier: MIT */
/*
 * Local APICs (each CPU's own interrupt controller) and I/O APICs.
 */
#ifndef GRACE_APIC_H
#define GRACE_APIC_H

#include <types.h>

/*
 * Finds the APICs, masks the old PICs and every I/O APIC input, and routes the console's interrupt
 * to the boot CPU. Boot CPU, once, after kmap_init().
 */
void apic_init(void);
/* Switches this CPU's local APIC on. irqs off. */
void apic_init_cpu(void);
/* Stops its timer, before the CPU is parked. irqs off. */
void apic_quiet_cpu(void);
/*
 * Makes an ISA interrupt that vector on the boot CPU, and unmasks it. -ENODEV if no I/O APIC has
 * its input. Any CPU, one call at a time.
 */
int apic_route_isa(u32 irq, u8 vector);
/*
 * Masks what becomes that vector: inputs of I/O APICs, this CPU's APIC errors. False if there is
 * none. irqs off.
 */
bool apic_mask(unsigned int vector);
/* Ends the interrupt that is being handled. */
void apic_eoi(void);

/*
 * Interrupt the CPU with that APIC id. Any context but NMI. Each orders earlier stores before the
 * interrupt is seen.
 */
void apic_send_fixed(u32 id, u8 vector);
void apic_send_nmi(u32 id);
void apic_send_init(u32 id);
void apic_send_startup(u32 id, u8 page);

/* This CPU's timer: one-shot by count, or by the TSC-deadline MSR. irqs off. */
void apic_timer_setup(bool deadline);
/* Counts down from count, then interrupts; 0 stops it. Not in deadline mode. */
void apic_timer_count(u32 count);
u32 apic_timer_left(void);

#endif
