/* SPDX-License-Identifier: MIT */
/*
 * Reports a CPU with interrupts off too long, a thread that never yields, and a stalled grace
 * period, each once per event, with the backtrace of the CPU in question.
 */
#ifndef GRACE_WATCHDOG_H
#define GRACE_WATCHDOG_H

#include <types.h>

/* Limit in ns for all three (watchdog=SECONDS on the command line, default 10; 0: off). */
extern u64 watchdog_ns;
void watchdog_init(void);
/* From each CPU's tick, irqs off. */
void watchdog_tick(struct trap_frame *tf);

/* Reports so far, by kind; tests read them. */
extern unsigned int watchdog_irqs_off, watchdog_no_yield, watchdog_rcu_stall;
/* While > 0, reports are counted and printed but are not failures: for the watchdog's own tests. */
extern unsigned int watchdog_expected;

#endif
