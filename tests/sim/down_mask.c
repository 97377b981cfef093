// SPDX-License-Identifier: MIT
/*
 * A CPU that has an address space loaded, perhaps lazily, is taken down; then a page goes.
 *
 * Nobody can tell it any more, so it must be in no mask, and hold nothing. Rules: H1.
 */
#include "sim_test.h"

#include <hotplug.h>

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + PAGE_SIZE, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void taker(void)
{
	sim_check(cpu_down(1) == 0, "H1", "the CPU does not go down");
	sim_check(!(READ_ONCE(sim_mm->cpu_mask) & BIT(1)), "H1",
		  "CPU 1 is down, and flushes of the address space are still for it");
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

static void user(void)
{
	u64 value;

	(void)sim_load(VA_A, &value);
}

SCENARIO(down_mask) = {
	.name = "down_mask",
	.what = "a CPU that goes down with an address space loaded",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, taker, false }, { 1, user, true } },
};
