// SPDX-License-Identifier: MIT
/*
 * The kernel's command line: appended in two parts, as a loader and a user may; looked into early,
 * then parsed.
 *
 * The input is the line; a byte 1 in it is where its second part begins.
 */
#include "shim.h"

#include <boot.h>
#include <cmdline.h>
#include <page.h>
#include <string.h>

#define LINE_PA MiB(16)
#define LINE_SPACE MiB(1)

/* Options of files that cannot be here, by a parser of each kind. */
static int parse_number(const char *value)
{
	u64 n;

	return parse_u64(value, &n);
}
CMDLINE_OPTION(number, "number", "number=N", parse_number);

static char kept[256];

static int parse_text(const char *value)
{
	return strlcpy(kept, value, sizeof(kept)) < sizeof(kept) ? 0 : -7;
}
CMDLINE_OPTION(run, "run", "run=TEXT", parse_text);

static size_t first_part(const u8 *data, size_t size)
{
	size_t n = 0;

	while (n < size && data[n] != 1)
		n++;
	return n;
}

void fuzz_one(const u8 *data, size_t size)
{
	char *line = fuzz_memory(LINE_PA, LINE_SPACE);
	size_t n = first_part(data, size);
	char value[24];

	if (size > LINE_SPACE / 2)
		return;
	boot.mapped_end = LINE_PA + LINE_SPACE;
	fuzz_allow(line, size, LINE_SPACE);
	fuzz_copy(line, data, size);
	boot_set_cmdline(line, n);
	if (n < size)
		boot_set_cmdline(line + n + 1, size - n - 1);
	FUZZ_CHECK(strnlen(boot.cmdline, sizeof(boot.cmdline)) < sizeof(boot.cmdline));
	boot_add_mem(0, MiB(256));
	boot_limit_memory();
	(void)cmdline_peek("sv", value, 4);
	(void)cmdline_peek("run", value, sizeof(value));
	shim_check_boot();
	cmdline_print_help();
	cmdline_parse();
}
