// SPDX-License-Identifier: MIT
/*
 * Kernel messages: whole lines, from any CPU, to the console.
 *
 * Why it exists: a report is worth nothing if two CPUs write into each other's lines, if it was
 * made before the console existed, or if the CPU that dies waits for a lock that a dead one holds.
 * A message is formatted on the caller's stack, then written out line by line under print_lock with
 * irqs off. Before a console is registered, the latest EARLY_SIZE bytes are kept and come out then.
 * Contexts: any but NMI. In a panic the lock is ignored and all other CPUs are mute.
 * See also: vsnprintf.c, console.c, panic.c.
 */
#include <arch.h>
#include <console.h>
#include <irqflags.h>
#include <printk.h>
#include <spinlock.h>
#include <string.h>
#include <time.h>

#define TEXT_MAX 512
#define EARLY_SIZE 4096

static spinlock_t print_lock = SPINLOCK_INIT;
static int print_owner = -1;  /* CPU that holds print_lock; a hint to anybody else */
static int panic_owner = -1;  /* CPU that panics: the only one that prints. Written once */

/* Under print_lock. */
static const struct uart_ops *uart;
static bool mid_line; /* print_raw() left the cursor behind some text */
static unsigned int lines;
static char early[EARLY_SIZE];
static size_t early_len; /* ever written to early[] */

static void early_putc(char c)
{
	early[early_len++ % EARLY_SIZE] = c;
}

static void putc_out(char c)
{
	if (uart)
		uart->putc(c);
	else
		early_putc(c);
}

static void newline(void)
{
	if (uart)
		uart->putc('\r');
	putc_out('\n');
}

bool printk_muted(void)
{
	int owner = READ_ONCE(panic_owner);

	return owner >= 0 && owner != (int)smp_processor_id();
}

unsigned int printk_lines(void)
{
	return READ_ONCE(lines);
}

/*
 * Turns irqs off and takes print_lock; false, with nothing done, if this CPU may not print: it is
 * mute, or it holds the lock already (a driver that reports trouble from inside putc). irqs off
 * keeps this CPU's handlers from waiting for the lock that it holds; while waiting they are as they
 * were.
 */
static bool print_begin(bool *irqs)
{
	for (;;) {
		*irqs = local_irq_save();

		int cpu = (int)smp_processor_id();

		if (READ_ONCE(panic_owner) == cpu)
			return true;
		if (printk_muted() || READ_ONCE(print_owner) == cpu)
			break;
		if (raw_spin_trylock(&print_lock)) {
			WRITE_ONCE(print_owner, cpu);
			return true;
		}
		local_irq_restore(*irqs);
		cpu_relax();
	}
	local_irq_restore(*irqs);
	return false;
}

/* After a print_begin() that was true; a panicking CPU may not have the lock. */
static void print_end(bool irqs)
{
	if (READ_ONCE(print_owner) == (int)smp_processor_id()) {
		WRITE_ONCE(print_owner, -1);
		raw_spin_unlock(&print_lock);
	}
	local_irq_restore(irqs);
}

/* For at most 10 ms, so that the line that somebody is writing is not cut. irqs off. */
static void wait_for_printer(void)
{
	u64 end = arch.timer_hz ? time_ns() + 10 * NSEC_PER_MSEC : 0;

	while (READ_ONCE(print_owner) >= 0 && end && time_ns() < end)
		cpu_relax();
}

void printk_enter_panic(void)
{
	int cpu = (int)smp_processor_id();

	if (cmpxchg(&panic_owner, -1, cpu) == -1 && READ_ONCE(print_owner) != cpu)
		wait_for_printer();
}

static void emit_prefix(void)
{
	u64 us = arch.timer_hz ? time_ns() / NSEC_PER_USEC : 0;
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "[%5llu.%06llu] ", (unsigned long long)(us / 1000000),
		 (unsigned long long)(us % 1000000));
	for (const char *p = prefix; *p; p++)
		putc_out(*p);
}

/* Writes each line of text, the last one too if its newline is missing. Under print_lock. */
static void emit_lines(const char *text, bool stamp)
{
	if (mid_line)
		newline();
	mid_line = false;
	do {
		if (stamp)
			emit_prefix();
		for (; *text && *text != '\n'; text++)
			putc_out(*text);
		newline();
		lines++;
	} while (*text && *++text);
}

static void print_text(const char *text, bool stamp)
{
	bool irqs;

	if (!print_begin(&irqs))
		return;
	emit_lines(text, stamp);
	print_end(irqs);
}

static void format_and_print(const char *fmt, va_list ap, bool stamp)
{
	char text[TEXT_MAX];

	if (vsnprintf(text, sizeof(text), fmt, ap) >= (int)sizeof(text))
		memcpy(text + sizeof(text) - 4, "...", 4);
	print_text(text, stamp);
}

void vprintk(const char *fmt, va_list ap)
{
	format_and_print(fmt, ap, true);
}

void printk(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format_and_print(fmt, ap, true);
	va_end(ap);
}

void print_line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format_and_print(fmt, ap, false);
	va_end(ap);
}

void print_raw(const char *s, size_t n)
{
	bool irqs;

	if (!n || !print_begin(&irqs))
		return;
	for (size_t i = 0; i < n; i++)
		putc_out(s[i]);
	mid_line = s[n - 1] != '\n';
	print_end(irqs);
}

/* Calls out for every character that was kept, oldest first. Under print_lock. */
static void early_drain(void (*out)(char c))
{
	size_t from = early_len > EARLY_SIZE ? early_len - EARLY_SIZE : 0;

	for (size_t i = from; i < early_len; i++) {
		char c = early[i % EARLY_SIZE];

		if (c == '\n')
			out('\r');
		out(c);
	}
	early_len = 0;
}

void console_register(const struct uart_ops *ops)
{
	bool irqs;

	if (!print_begin(&irqs))
		return;
	uart = ops;
	early_drain(ops->putc);
	print_end(irqs);
}

const struct uart_ops *console_uart(void)
{
	return READ_ONCE(uart);
}

static void early_print_char(char c)
{
	char s[2] = { c, 0 };

	arch_early_print(s);
}

void printk_flush_early(void)
{
	bool irqs;

	if (uart || !print_begin(&irqs))
		return;
	early_drain(early_print_char);
	print_end(irqs);
}
