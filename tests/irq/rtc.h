/* SPDX-License-Identifier: MIT */
/*
 * A real-time clock whose alarm raises a line.
 */
#ifndef GRACE_TESTS_RTC_H
#define GRACE_TESTS_RTC_H

#include "../testlib.h"

#include <boot.h>
#include <fdt.h>
#include <kmap.h>

/*
 * The registers of the machine's clock of that kind, with the device tree and its node there; NULL,
 * with the test skipped, without one. The same kind in each call.
 */
static inline volatile u32 *find_rtc(struct fdt *f, int *node, const char *compatible, u64 needed)
{
	static volatile u32 *mapped; /* for good */
	const char *why;
	u64 addr, size;

	if (fdt_open(f, boot.fdt, boot.fdt_size, &why) != 0)
		return NULL;
	*node = fdt_next_compatible(f, -1, compatible);
	if (*node >= 0 && fdt_reg(f, *node, 0, &addr, &size) == 0 && size >= needed)
		return mapped = mapped ? mapped : ioremap(addr, needed);
	test_skip("no %s", compatible);
	return NULL;
}

#endif
