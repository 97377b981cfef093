// SPDX-License-Identifier: MIT
/*
 * Two faults at one address where there is neither a page nor a table.
 *
 * Rules: A3, A4, A5.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	BUG_ON(mm_mmap(sim_mm, VA_A, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED) < 0);
	sim_watch(VA_A);
}

static void user(void)
{
	u64 value;

	sim_check(sim_load(VA_A, &value) && value == 0, "A3", "a new page is not zero");
}

static void check(void)
{
	sim_check(mm_nr_pages(sim_mm) == 1, "A3", "two pages at one address");
	sim_check(atomic64_read(&sim_mm->nr_tables) == 3, "A4", "a table is lost");
}

SCENARIO(faults) = {
	.name = "faults",
	.what = "two faults at one address",
	.cpus = 2,
	.check = check,
	.setup = setup,
	.roles = { { 0, user, true }, { 1, user, true } },
};
