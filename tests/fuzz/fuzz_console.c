// SPDX-License-Identifier: MIT
/*
 * The prompt: each byte of the input is a key, through line editor, splitting and dispatch, to the
 * commands themselves, whose subjects stubs.c replaces.
 */
#include "shim.h"

#include <console.h>
#include <errno.h>
#include <printk.h>
#include <string.h>

static const u8 *keys;
static size_t keys_left;

static int next_key(void)
{
	if (keys_left == 0)
		fuzz_done();
	keys_left--;
	return *keys++;
}

static const struct uart_ops uart = { .name = "input", .getc = next_key };

/* One key at a time: what waits in the driver is read when the line editor asks for it. */
static int one_key(void)
{
	static bool given;

	given = !given;
	return given ? next_key() : -1;
}

static const struct uart_ops slow_uart = { .name = "slow input", .getc = one_key };
static const struct uart_ops *chosen;

const struct uart_ops *console_uart(void)
{
	return chosen;
}

unsigned int printk_lines(void)
{
	static unsigned int calls;

	/* Now and then a message comes over the prompt. */
	return ++calls / 64;
}

/* A command that runs others, as the race does. */
static int cmd_again(int argc, char **argv)
{
	static unsigned int depth;
	int err;

	if (argc != 2 || depth > 3)
		return -EINVAL;
	depth++;
	err = console_run(argv[1]);
	depth--;
	return err;
}
COMMAND(again, "again", "again LINE", cmd_again);

void fuzz_one(const u8 *data, size_t size)
{
	if (size == 0)
		return;
	chosen = data[0] & 1 ? &uart : &slow_uart;
	keys = data + 1;
	keys_left = size - 1;
	for (int err = -64; err < 4; err++)
		FUZZ_CHECK(strlen(errno_name(err)) > 0);
	console_loop();
}
