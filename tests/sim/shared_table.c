// SPDX-License-Identifier: MIT
/*
 * Unmapping a range whose table another mapping shares, against a walk of that one.
 *
 * Rules: U4, G1, and that the table stays.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 2);
	BUG_ON(mm_mprotect(sim_mm, VA_A, PAGE_SIZE, PROT_READ) != 0);
}

static void walker(void)
{
	struct page *got = NULL;
	unsigned int n = gup_fast(VA_A + PAGE_SIZE, 1, FOLL_WRITE, &got);

	sim_check(n == 1, "floor", "the neighbour's page is not to be had");
	put_page(got);
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(shared_table) = {
	.name = "shared_table",
	.what = "munmap of a range whose table another mapping shares",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, walker, true } },
};
