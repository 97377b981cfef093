// SPDX-License-Identifier: MIT
/*
 * Unmapping a page that user code on another CPU may use at any time.
 *
 * The page must not be given back before no TLB leads to it.
 * Rules: G1, G4, G11, L2.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + PAGE_SIZE, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void user(void)
{
	sim_user(BIT(0));
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(page_user) = {
	.name = "page_user",
	.what = "unmap a page against user code",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, user, true } },
};
