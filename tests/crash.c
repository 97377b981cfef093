// SPDX-License-Identifier: MIT
/*
 * The command crash: the kernel goes down in a chosen way, and a run shows what it says of it.
 *
 * Why it exists: a report that is printed once in a machine's life is wrong when it is needed. The
 * configurations crash-* go down by each of these, and want the message, the registers and the
 * backtrace. crash/ has the kinds that one port has.
 */
#include "crash.h"

#include <bug.h>
#include <console.h>
#include <errno.h>
#include <printk.h>
#include <string.h>

extern const struct crash_kind crashes_start[], crashes_end[];

CRASH(panic)
{
	panic("asked for by the command crash");
}

/* A member of what a NULL pointer points to. */
CRASH(null)
{
	volatile u64 *volatile p = (volatile u64 *)8;

	*p = 1;
	barrier();
}

CRASH(jump)
{
	((void (*volatile)(void))8)();
	barrier();
}

CRASH(trap)
{
	__builtin_trap();
}

static __noinline u64 recurse(u64 depth)
{
	volatile u64 frame[64];

	frame[0] = depth;
	return depth ? recurse(depth + 1) + frame[0] : 0;
}

CRASH(stack)
{
	(void)recurse(1);
	barrier();
}

static int cmd_crash(int argc, char **argv)
{
	for (const struct crash_kind *c = crashes_start; c < crashes_end; c++)
		if (argc == 2 && strcmp(argv[1], c->name) == 0)
			c->fn();
	print_line("Kinds:");
	for (const struct crash_kind *c = crashes_start; c < crashes_end; c++)
		print_line("  %s", c->name);
	return argc > 1 ? -EINVAL : 0;
}
COMMAND(crash, "crash", "crash [KIND]  goes down in that way; without, the ways", cmd_crash);
