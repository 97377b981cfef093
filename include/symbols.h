/* SPDX-License-Identifier: MIT */
/*
 * Names of the image's functions, from a table that scripts/mksyms links into the image;
 * backtraces.
 */
#ifndef GRACE_SYMBOLS_H
#define GRACE_SYMBOLS_H

#include <thread.h>
#include <trap.h>
#include <types.h>

/* The function that holds addr and the offset in it, or NULL. Any context. */
const char *symbol_name(vaddr_t addr, size_t *offset);
/* The address of a function by name, or 0. */
vaddr_t symbol_addr(const char *name);

/*
 * Prints "  #0 name+0x12 (address)" lines from a frame pointer on; pc is printed first if not 0.
 * Stops at the end of the stack, at a frame that makes no sense, and after 32 frames. Any context.
 */
void backtrace_print(vaddr_t pc, vaddr_t fp);
/* The two halves of it: collects addresses (NMI context too), prints them (not in NMIs). */
#define BACKTRACE_MAX 32
unsigned int backtrace_capture(vaddr_t pc, vaddr_t fp, vaddr_t *pcs, unsigned int max);
void backtrace_print_pcs(const vaddr_t *pcs, unsigned int n, bool first_is_exact);
void backtrace_print_current(void);
void backtrace_print_trap(const struct trap_frame *tf);
/* Running or not; it must not end meanwhile. */
void backtrace_print_thread(const struct thread *t);
/*
 * Prints what cpu is doing: interrupts it, or uses an NMI, or, where neither gets through, says so
 * and prints where it turned interrupts off. Waits at most 100 ms. Any context.
 */
void backtrace_print_cpu(unsigned int cpu);

/* panic.c: the IPI side of the above (the NMI side is handle_nmi()). tf: what was interrupted. */
void backtrace_ipi(struct trap_frame *tf);
__noreturn void stop_this_cpu(void);

#endif
