// SPDX-License-Identifier: MIT
/*
 * Unmapping a page that nobody has used yet, while user code on another CPU uses it for the first
 * time.
 *
 * Either the entry is gone before it is marked accessed, and no TLB ever has it; or the unmapper
 * sees the mark in what it takes out, and flushes.
 * Rules: T11.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map_unused(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + PAGE_SIZE, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void user(void)
{
	u64 value;

	(void)sim_load(VA_A, &value);
	sim_user(BIT(0));
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(unused_page) = {
	.name = "unused_page",
	.what = "unmap a page against its first use",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, user, true } },
};
