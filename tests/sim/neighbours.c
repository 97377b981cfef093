// SPDX-License-Identifier: MIT
/*
 * Two unmappers of neighbours whose pages share a leaf table.
 *
 * Each must leave the other's page and, until both are done, the table.
 * Rules: G1, G2, G5, F1.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 2);
	BUG_ON(mm_mprotect(sim_mm, VA_A, PAGE_SIZE, PROT_READ) != 0);
}

static void lower(void)
{
	sim_check(mm_munmap(sim_mm, VA_A, PAGE_SIZE) == 0, "munmap", "the lower is not unmapped");
}

static void upper(void)
{
	sim_check(mm_munmap(sim_mm, VA_A + PAGE_SIZE, PAGE_SIZE) == 0, "munmap",
		  "the upper is not unmapped");
}

static void check(void)
{
	sim_check(mm_nr_pages(sim_mm) == 0, "leak", "a page is left");
	sim_check(atomic64_read(&sim_mm->nr_tables) == 1, "leak", "a table is left");
}

SCENARIO(neighbours) = {
	.name = "neighbours",
	.what = "two unmappers of neighbours",
	.cpus = 2,
	.check = check,
	.setup = setup,
	.roles = { { 0, lower, true }, { 1, upper, true } },
};
