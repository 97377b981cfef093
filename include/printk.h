/* SPDX-License-Identifier: MIT */
/*
 * Kernel messages. Each call prints one or more whole lines: lines from several CPUs never mix.
 */
#ifndef GRACE_PRINTK_H
#define GRACE_PRINTK_H

#include <stdarg.h>
#include <types.h>

/* "[   12.345678] " and the text. Any context, NMI excepted. A newline is added if missing. */
void printk(const char *fmt, ...) __printf(1, 2);
void vprintk(const char *fmt, va_list ap);
/* The same without the time: test results, tables, the console's own output. */
void print_line(const char *fmt, ...) __printf(1, 2);
/* Characters as they are, no newline added: the prompt and its line editor. */
void print_raw(const char *s, size_t n);
/* From the panicking CPU: others can no longer print; a lock they hold is ignored. */
void printk_enter_panic(void);
/* True once another CPU panics: nothing that this CPU prints comes out any more. */
bool printk_muted(void);
/* Counts the whole lines printed so far, so that the line editor knows that it must draw again. */
unsigned int printk_lines(void);
/* Without a console: gives what was kept for it to the port's last resort. Any context. */
void printk_flush_early(void);

/* C99's, with %d %i %u %x %X %p %s %c %% %ld %lld %zu, width, precision, -, 0 and *. No floats. */
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);

#endif
