/* SPDX-License-Identifier: MIT */
/*
 * The kernel's command line: words separated by spaces, each NAME=VALUE or NAME. Quotes keep
 * spaces.
 *
 * An option is declared where it is used. A word that no option has, or a value that its parser
 * refuses, ends the boot with one line that says what is wrong and what is accepted: boot_fail().
 */
#ifndef GRACE_CMDLINE_H
#define GRACE_CMDLINE_H

#include <types.h>

struct cmdline_option {
	const char *name;
	const char *help; /* "tlb=ipi|unmaskable  how TLBs are invalidated ..." */
	int (*parse)(const char *value); /* "" if no value; 0 or -errno */
};

#define CMDLINE_OPTION(id, name_, help_, parse_)                                                   \
	static const struct cmdline_option __used __section(".cmdline_options")                    \
		__aligned(8) cmdline_##id = { name_, help_, parse_ }

/* Splits boot.cmdline and runs the parsers. Boot CPU, once; a console exists. */
void cmdline_parse(void);
/*
 * Takes the next word out of *s, in place: ended with 0, without the '...' and "..." that keep
 * spaces together. NULL if there is none. Sets *open if a quote was still open at the end. Any
 * context.
 */
char *word_next(char **s, bool *open);
/*
 * Looks up an option's value before cmdline_parse(), for what has to be known that early; the
 * option is parsed, and a bad value refused, later as all others. False if it is not there, or
 * longer than size - 1. Boot CPU, from arch_start() on.
 */
bool cmdline_peek(const char *name, char *value, size_t size);
/* Prints every option with its help. */
void cmdline_print_help(void);

#endif
