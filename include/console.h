/* SPDX-License-Identifier: MIT */
/*
 * The serial console: its device, its prompt, and the commands.
 */
#ifndef GRACE_CONSOLE_H
#define GRACE_CONSOLE_H

#include <types.h>

/* A UART driver. putc waits for room; getc returns -1 when nothing is there. Both any context. */
struct uart_ops {
	const char *name;
	void (*putc)(char c);
	int (*getc)(void);
	void (*enable_rx_irq)(void);
};

/*
 * Registers the console device; messages printed before are kept and come out now. Ports call it
 * from arch_start() as soon as they can.
 */
void console_register(const struct uart_ops *ops);
const struct uart_ops *console_uart(void);

/*
 * Supplied by the port: prints by its last resort, before any console exists; the bytes as they are
 * (lines end in CR LF). Any context.
 */
void arch_early_print(const char *s);

/* A command of the prompt. argv[0] is its name. Returns 0, or -errno, which is printed. */
struct command {
	const char *name;
	const char *help; /* "pt [MM] [ADDRESS]  page tables" */
	int (*run)(int argc, char **argv);
};
#define COMMAND(id, name_, help_, run_)                                                            \
	static const struct command __used __section(".commands") __aligned(8) command_##id = {    \
		name_, help_, run_                                                                 \
	}
const struct command *command_find(const char *name); /* NULL if there is none */

/*
 * Runs "a b; c d". NAME=VALUE as the first word means NAME VALUE; '...' and "..." keep spaces and
 * semicolons. After a command that fails, the rest is skipped except poweroff, which then ends with
 * EXIT_TESTS_FAILED. Returns 0, or the -errno of the command that failed. Thread context.
 */
int console_run(const char *line);
/*
 * What poweroff without an argument ends with: EXIT_TESTS_FAILED once console_run() has failed,
 * unless it was called by a command, whose own result counts then.
 */
int console_exit_status(void);
/* "EINVAL" for -EINVAL; "?" for what errno.h does not have. */
const char *errno_name(int err);
/* Reads lines and runs them, for ever. Thread context. */
__noreturn void console_loop(void);
/* Turns on receive interrupts; before it the loop polls. */
void console_init_irq(void);

#endif
