/* SPDX-License-Identifier: MIT */
/*
 * Where the ports' trap entries meet the kernel.
 *
 * A port's entry code saves a full trap_frame on the interrupted thread's stack, closes user
 * access, and calls one of these with interrupts off.
 */
#ifndef GRACE_TRAP_H
#define GRACE_TRAP_H

#include <arch.h>
#include <types.h>

/*
 * Bracket every interrupt (not NMIs, not synchronous traps). irq_enter() makes the CPU leave RCU's
 * idle state and counts the interrupt; irq_exit() does the reverse and then preempts the
 * interrupted thread if it may be. irqs off.
 */
void irq_enter(struct trap_frame *tf);
void irq_exit(struct trap_frame *tf);

/* Called between irq_enter() and irq_exit(). */
void handle_ipi(void);			   /* kernel/smp.c */
void timer_interrupt(struct trap_frame *tf); /* kernel/time.c */
void console_interrupt(void);		   /* kernel/console.c: input may be waiting */

/*
 * An interrupt that nobody expects: counted, said when its number first comes. When it storms, it
 * is silenced: mask(number) keeps its line from interrupting again, at the controller, and returns
 * whether there is such a line. NULL: nothing can mask it. Between irq_enter() and irq_exit(), or
 * with irqs off. kernel/spurious.c.
 */
#define SPURIOUS_STORM 50 /* times within a second */
void spurious_interrupt(unsigned int number, bool (*mask)(unsigned int number));
/* How often it came, and how often it was masked for it. Any context. */
struct spurious_counts {
	u64 came, masked;
};
struct spurious_counts spurious_counts(unsigned int number);

/*
 * From the NMI entry: no locks, no RCU. Returns whether it was for what the kernel asks by NMI.
 */
bool handle_nmi(struct trap_frame *tf);

/* The trap frame of the interrupt this CPU is handling, or NULL. */
struct trap_frame *irq_frame(void);

#define FAULT_WRITE BIT(0)
#define FAULT_EXEC BIT(1)
#define FAULT_PRESENT BIT(2) /* a permission fault: an entry was there (where the CPU says so) */
#define FAULT_ACCESS BIT(3)  /* mm_fault_locked(): of an access, not in advance of any */

/*
 * A page fault or access fault, from any context. Resolves it (user half, current->mm, irqs were
 * on), or goes to the fixup of a user access, or panics with the address and a backtrace. The port
 * calls it with interrupts off as at entry; it enables them itself while it may sleep.
 * mm/fault.c.
 */
void do_page_fault(struct trap_frame *tf, vaddr_t addr, u64 flags);

/*
 * Any other trap, e.g. "illegal instruction": panics with what, code, registers and a backtrace.
 */
__noreturn void bad_trap(struct trap_frame *tf, const char *what, u64 code, u64 addr);

/* Port: if tf's pc may fault, moves it to its fixup and returns true (exception table). */
bool arch_fixup(struct trap_frame *tf);

#endif
