// SPDX-License-Identifier: MIT
/*
 * Unmapping a subtree, two tables above each other, against gup_fast().
 *
 * Rules: F1, G2, G3, G4, U1, U3.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
}

static void walker(void)
{
	struct page *got = NULL;

	if (gup_fast(VA_A, 1, FOLL_WRITE, &got) == 1)
		put_page(got);
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(subtree_gup) = {
	.name = "subtree_gup",
	.what = "unmap a subtree against gup_fast",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, walker, true } },
};
