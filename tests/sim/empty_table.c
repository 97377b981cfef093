// SPDX-License-Identifier: MIT
/*
 * Unmapping what has no pages left: the flush is for the table alone, and by address.
 *
 * Rules: G10, G2, G3, F1.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_madvise_dontneed(sim_mm, VA_A, PAGE_SIZE) != 0);
	BUG_ON(mm_mmap(sim_mm, VA_A + pt_span(1), PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void user(void)
{
	sim_user(BIT(0));
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(empty_table) = {
	.name = "empty_table",
	.what = "unmap an empty leaf table against user code",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, user, true } },
};
