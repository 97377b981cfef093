/* SPDX-License-Identifier: MIT */
/*
 * What happens when the kernel finds itself wrong: one report, on all CPUs, then power-off with a
 * status of its own (see EXIT_*), so that a runner can tell a broken rule from a failed test.
 */
#ifndef GRACE_BUG_H
#define GRACE_BUG_H

#include <stdarg.h>
#include <types.h>

/* Exit statuses of a run. */
#define EXIT_SUCCESS 0
#define EXIT_TESTS_FAILED 1 /* a selftest or the race failed, or was INVALID */
#define EXIT_BAD_BOOT 2	    /* bad input or an unsuitable machine */
#define EXIT_PANIC 3
#define EXIT_BROKEN_RULE 4

/*
 * Prints the message, the CPU, a backtrace with symbols of every CPU, then powers off with
 * EXIT_PANIC. Any context. The first caller wins; the others stop.
 */
__noreturn void panic(const char *fmt, ...) __printf(1, 2);
/* The same of a trap: with the registers at it, and the backtrace from there. */
struct trap_frame;
__noreturn void panic_trap(const struct trap_frame *tf, const char *fmt, ...) __printf(2, 3);

/*
 * One clear line that says what is wrong with what the machine or the user gave us, then power-off
 * with EXIT_BAD_BOOT and no backtrace. Any context after the first console exists; before, the port
 * prints by its last resort. Not for the kernel's own mistakes.
 */
__noreturn void boot_fail(const char *fmt, ...) __printf(1, 2);

/*
 * A report of several lines: between the two, printk() prints it whole and other CPUs print
 * nothing. panic_begin() returns on the first CPU that comes here, irqs off; the others stop.
 * A fault or panic in between only shortens the report; then the message given here is printed, and
 * the status is that of the second. panic_end() adds where all CPUs are, and powers off.
 */
void panic_begin(int status, const char *fmt, va_list ap);
__noreturn void panic_end(int status);

/* Prints the message and a backtrace and goes on; counted, and a test run with a warning fails. */
void warn(const char *fmt, ...) __printf(1, 2);
extern unsigned int warn_count;

/* Ends the run: prints "EXIT: STATUS=n" and powers off through arch_power_off(). Any context. */
__noreturn void power_off(int status);

#define BUG() panic("BUG at %s:%d", __FILE__, __LINE__)
#define BUG_ON(cond)                                                                               \
	do {                                                                                       \
		if (unlikely(cond))                                                                \
			panic("BUG at %s:%d: %s", __FILE__, __LINE__, #cond);                      \
	} while (0)
#define WARN_ON_ONCE(cond)                                                                         \
	({                                                                                         \
		static bool warn_said;                                                             \
		bool warn_now = (cond);                                                            \
		if (unlikely(warn_now) && !warn_said) {                                            \
			warn_said = true;                                                          \
			warn("%s:%d: %s", __FILE__, __LINE__, #cond);                              \
		}                                                                                  \
		unlikely(warn_now);                                                                \
	})

/* True in a debug build: oracles (poison, cookies, stamps) are there. Read in an ordinary if. */
#ifdef GRACE_DEBUG
#define debug_build true
#else
#define debug_build false
#endif

#endif
