// SPDX-License-Identifier: MIT
/*
 * A gather that is full early: it flushes in the middle, with no lock held.
 *
 * Rules: T4, G1.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 4); /* the fourth stays, and so the table */
}

static void user(void)
{
	sim_user(BIT(0));
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, 3 * PAGE_SIZE);
}

SCENARIO(full_gather) = {
	.name = "full_gather",
	.what = "a gather that is full early against user code",
	.cpus = 2,
	.inject = BIT(INJECT_TINY) | BIT(INJECT_BATCH),
	.fails = 2,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, user, true } },
};
