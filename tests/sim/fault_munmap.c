// SPDX-License-Identifier: MIT
/*
 * A fault against unmapping of the very page, in a table that a neighbour keeps.
 *
 * When munmap() has returned nothing is mapped there, and nothing comes to be.
 * Rules: L3.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A + PAGE_SIZE, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
	sim_watch(VA_A);
}

static void user(void)
{
	u64 value;

	(void)sim_load(VA_A, &value);
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

static void check(void)
{
	sim_check(mm_count_mapped(sim_mm, VA_A, VA_A + PAGE_SIZE) == 0, "L3",
		  "a page is mapped where there is no VMA");
}

SCENARIO(fault_munmap) = {
	.name = "fault_munmap",
	.what = "a fault against unmapping of its page",
	.cpus = 2,
	.setup = setup,
	.check = check,
	.roles = { { 0, unmapper, true }, { 1, user, true } },
};
